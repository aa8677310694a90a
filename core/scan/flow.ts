/**
 * How the steps of a scan are joined: each is an async iterable of the last one's output, so that a step
 * that is slow holds back all before it, down to the guest.
 */

/**
 * Applies `work` to each item of `source`, `width` at a time, and yields what it yields in the order in
 * which it comes. At most `width` results wait to be taken. The first error is thrown when the work that was
 * under way has come to its end and its results were taken; an early return of the consumer ends the source
 * and the work under way.
 */
export async function* parallel<In, Out>(
  source: AsyncIterable<In>,
  width: number,
  work: (item: In) => AsyncIterable<Out>,
): AsyncGenerator<Out> {
  const iterator = source[Symbol.asyncIterator]();
  const results = new Handover<Out>(width);

  let failure: { error: unknown } | undefined;

  const worker = async (): Promise<void> => {
    try {
      while (!failure) {
        const next = await iterator.next();
        if (next.done) return;
        for await (const result of work(next.value)) {
          if (!(await results.give(result))) return;
        }
      }
    } catch (error) {
      failure ??= { error };
    }
  };

  const workers = Promise.all(Array.from({ length: width }, worker)).then(() => results.end(failure));
  try {
    yield* results.taken();
  } finally {
    results.abandon();
    // Not awaited when the work may be waiting for a guest: its own signal ends it.
    void iterator.return?.();
    await workers;
  }
}

/**
 * Gathers items into batches of at most `most` items and `weight` in sum; an item that exceeds it comes alone.
 * What was gathered before an error of the source is given before that error is thrown.
 */
export async function* batched<Item>(
  source: AsyncIterable<Item> | Iterable<Item>,
  most: number,
  weight: number,
  weigh: (item: Item) => number,
): AsyncGenerator<Item[]> {
  let batch: Item[] = [];
  let sum = 0;
  let failure: { error: unknown } | undefined;
  try {
    for await (const item of source) {
      const added = weigh(item);
      if (batch.length > 0 && sum + added > weight) {
        yield batch;
        batch = [];
        sum = 0;
      }
      batch.push(item);
      sum += added;
      if (batch.length >= most || sum >= weight) {
        yield batch;
        batch = [];
        sum = 0;
      }
    }
  } catch (error) {
    failure = { error };
  }
  if (batch.length > 0) yield batch;
  if (failure) throw failure.error;
}

/**
 * Divides each group of the source into such batches. Nothing is kept back until more comes: what one group
 * brought is passed on before the next is asked for.
 */
export async function* batchedEach<Item>(
  groups: AsyncIterable<Iterable<Item>>,
  most: number,
  weight: number,
  weigh: (item: Item) => number,
): AsyncGenerator<Item[]> {
  for await (const group of groups) yield* batched(group, most, weight, weigh);
}

/** A small bounded queue between the workers and the one who takes their results. */
class Handover<Item> {
  private readonly room: number;
  private readonly items: Item[] = [];
  private outcome: { error?: unknown } | undefined;
  private abandoned = false;
  private wakeTaker: (() => void) | undefined;
  private wakeGivers: (() => void)[] = [];

  constructor(room: number) {
    this.room = room;
  }

  /** Resolves when there was room; false when nobody takes any more. */
  async give(item: Item): Promise<boolean> {
    while (this.items.length >= this.room && !this.abandoned) {
      await new Promise<void>((resolve) => this.wakeGivers.push(resolve));
    }
    if (this.abandoned) return false;
    this.items.push(item);
    this.wakeTaker?.();
    return true;
  }

  end(outcome: { error?: unknown } = {}): void {
    this.outcome = outcome;
    this.wakeTaker?.();
  }

  abandon(): void {
    this.abandoned = true;
    this.wake();
  }

  async *taken(): AsyncGenerator<Item> {
    for (;;) {
      while (this.items.length > 0) {
        const item = this.items.shift() as Item;
        this.wake();
        yield item;
      }
      if (this.outcome) {
        if ('error' in this.outcome) throw this.outcome.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.wakeTaker = resolve;
      });
    }
  }

  private wake(): void {
    const givers = this.wakeGivers;
    this.wakeGivers = [];
    for (const giver of givers) giver();
  }
}
