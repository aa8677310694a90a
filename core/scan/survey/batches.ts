/**
 * Questions to a guest, many to a request: what is asked for in one turn of the event loop is sent together, one
 * request at a time, so that what asks can be written as if it asked alone.
 */
export class Batches<Question, Answer> {
  private readonly most: number;
  private readonly ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  private waiting: { readonly question: Question; readonly answered: PromiseWithResolvers<Answer> }[] = [];
  private last: Promise<void> = Promise.resolve();
  private failure: { readonly error: unknown } | undefined;

  /** `ask` answers as many questions at once as `most`, in their order. */
  constructor(most: number, ask: (questions: readonly Question[]) => Promise<readonly Answer[]>) {
    this.most = most;
    this.ask = ask;
  }

  /** Rejects as `ask` does, with all that were asked together and all that are asked later: nothing is asked any more. */
  answer(question: Question): Promise<Answer> {
    if (this.failure) return Promise.reject(this.failure.error);
    if (this.waiting.length === 0) setImmediate(() => this.send());
    const answered = Promise.withResolvers<Answer>();
    this.waiting.push({ question, answered });
    return answered.promise;
  }

  private send(): void {
    const asked = this.waiting;
    this.waiting = [];
    for (let from = 0; from < asked.length; from += this.most) {
      const some = asked.slice(from, from + this.most);
      this.last = this.last.then(() => this.settle(some));
    }
  }

  private async settle(some: typeof this.waiting): Promise<void> {
    try {
      if (this.failure) throw this.failure.error;
      const answers = await this.ask(some.map(({ question }) => question));
      for (const [at, { answered }] of some.entries()) answered.resolve(answers[at] as Answer);
    } catch (error) {
      this.failure ??= { error };
      for (const { answered } of some) answered.reject(error);
    }
  }
}
