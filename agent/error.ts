import { CodedError, type Obstacle, type OutcomeCode, type Refusal } from '../protocol/index.ts';

export type StartErrorCode = 'usage' | 'bad-config' | 'no-root' | 'no-state' | 'no-port' | 'no-socket';

/** The agent cannot start; the message says what to do. */
export class StartError extends CodedError<StartErrorCode> {}

/** A request is refused; its answer carries the code and the message. */
export class RefusedError extends CodedError<Refusal['code']> {}

/** A command ends in something else than `done`. */
export class OutcomeError extends CodedError<Exclude<OutcomeCode, 'done'>> {
  /** Where a file was put back whose own name was taken meanwhile. */
  readonly putBackAs?: Buffer;
  /** What was in the way. */
  readonly obstacle?: Obstacle;

  constructor(
    code: Exclude<OutcomeCode, 'done'>,
    message: string,
    options?: ErrorOptions & {
      readonly putBackAs?: Buffer | undefined;
      readonly obstacle?: Obstacle | undefined;
    },
  ) {
    super(code, message, options);
    if (options?.putBackAs) this.putBackAs = options.putBackAs;
    if (options?.obstacle) this.obstacle = options.obstacle;
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
