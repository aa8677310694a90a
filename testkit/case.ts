/** One test of a suite, for whatever runner there is: `it(name, run)`. */
export interface Case {
  readonly name: string;
  /** Rejects when it fails, and leaves nothing running. */
  run(): Promise<void>;
}
