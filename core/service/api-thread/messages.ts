/** What the thread of the API and the service say to each other. */
import type { LeftOutRow } from '../../store/left-out.ts';
import type { ApiOptions } from '../api/server.ts';
import type { Operations } from '../operations.ts';
import type { ScanEvent } from '../views.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly options: Pick<ApiOptions, 'unix' | 'tcp' | 'limits' | 'uploads'>;
  /** The state directory, which it reads. */
  readonly state: string;
}

/** Those that the service itself answers; all but the following of a scan, which has no one answer. */
export type Method = Exclude<keyof Operations, 'followScan'> | 'liveScans';

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** From the thread. */
export type Asked =
  | { readonly type: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] }
  | { readonly type: 'follow'; readonly id: number; readonly scan: string }
  | { readonly type: 'unfollow'; readonly id: number }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn';
      readonly message: string;
      readonly facts?: object;
    }
  | {
      readonly type: 'answered';
      readonly route: string;
      readonly status: number;
      readonly milliseconds: number;
    }
  | { readonly type: 'left-out'; readonly row: LeftOutRow }
  | { readonly type: 'ready'; readonly addresses: readonly string[] }
  | { readonly type: 'not-started'; readonly failure: Failure };

/** To the thread. */
export type Told =
  | { readonly type: 'value'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly failure: Failure }
  | { readonly type: 'event'; readonly id: number; readonly event: ScanEvent }
  /** Something is not as it was told before. */
  | { readonly type: 'changed' }
  | { readonly type: 'close' };
