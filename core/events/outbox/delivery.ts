/** All lanes together: started, stopped and exchanged as one. */
import { Lane, type LaneFault, type LaneParts } from './lane.ts';
import type { EventOutlet } from './outlet.ts';
import type { OutboxStore } from './store.ts';

export interface SinkStatus {
  readonly sink: string;
  /** Events that it has not got yet. */
  readonly queued: number;
  /** How long the oldest of them has waited; 0 when there is none. */
  readonly oldestAgeMs: number;
  /** Since this process started. */
  readonly delivered: number;
  /** Put aside as refused, since this process started. */
  readonly refused: number;
  /** In a row; 0 while it works. */
  readonly failures: number;
  /** Undefined while it works. */
  readonly lastError: LaneFault | undefined;
}

export type DeliveryParts = Omit<LaneParts, 'read' | 'keep'>;

export class Delivery {
  private readonly store: OutboxStore;
  private readonly parts: LaneParts;
  private lanes: readonly Lane[] = [];
  private cut = new AbortController();
  private running: Promise<unknown> | undefined;

  constructor(store: OutboxStore, parts: DeliveryParts) {
    this.store = store;
    this.parts = { ...parts, read: store.read.bind(store), keep: () => this.keepPositions() };
  }

  get goesNowhere(): boolean {
    return this.lanes.length === 0;
  }

  /** Delivers to these from now on. One that keeps its name goes on where it was; what is on its way is sent again. */
  async use(outlets: readonly EventOutlet[]): Promise<void> {
    const { running } = this;
    this.cut.abort();
    await running;
    await this.close();
    this.place(outlets);
    if (running) this.start();
  }

  /** Before the start. Throws StoreError. */
  place(outlets: readonly EventOutlet[]): void {
    const before = new Map(this.lanes.map((lane) => [lane.outlet.name, lane]));
    this.lanes = outlets.map((outlet) => {
      const lane = new Lane(outlet, this.startOf(outlet.name), this.parts);
      const { delivered = 0, refused = 0 } = before.get(outlet.name) ?? {};
      return Object.assign(lane, { delivered, refused });
    });
    this.keepPositions();
  }

  start(): void {
    if (this.running && !this.cut.signal.aborted) return;
    this.cut = new AbortController();
    this.running = Promise.all(this.lanes.map((lane) => lane.run(this.cut.signal)));
  }

  /** Ends when all is delivered, when each that fails has had one more try, or after so many milliseconds. */
  async stop(within: number): Promise<void> {
    for (const lane of this.lanes) lane.finish();
    const done = new AbortController();
    const late = this.parts.clock.sleep(within, done.signal).then(() => this.cut.abort());
    await this.running;
    done.abort();
    await late;
    await this.close();
  }

  /** There are new events. */
  wake(): void {
    for (const lane of this.lanes) lane.wake();
  }

  /** On the disk when it returns, but for a power cut. Throws StoreError. */
  keepPositions(): void {
    if (this.lanes.length === 0) return;
    this.store.keep(new Map(this.lanes.map(({ outlet, position }) => [outlet.name, position])));
  }

  status(): readonly SinkStatus[] {
    return this.lanes.map(({ outlet, position, delivered, refused, failures, lastError }) => {
      const oldest = this.store.oldestAfter(position);
      const oldestAgeMs = oldest === undefined ? 0 : Math.max(0, this.parts.clock.now() - oldest);
      const queued = this.store.head - position;
      return { sink: outlet.name, queued, oldestAgeMs, delivered, refused, failures, lastError };
    });
  }

  /** The one that is furthest behind, and why, in plain words. */
  whoIsBehind(): string {
    const [slowest] = this.lanes.toSorted((one, other) => one.position - other.position);
    const fault = slowest?.lastError;
    return `the sink ${slowest?.outlet.name} does not keep up${fault ? ` (${fault.message})` : ''}`;
  }

  private async close(): Promise<void> {
    await Promise.all(this.lanes.map(({ outlet }) => outlet.close?.()));
  }

  /** One that is new starts with what still waits for others. */
  private startOf(sink: string): number {
    return this.store.position(sink) ?? this.store.head - this.store.events;
  }
}
