/** Events in a file on this host: one JSON text a line (https://github.com/ndjson/ndjson-spec). */
import type { BatchLimit, EventOutlet } from '../outbox/outlet.ts';
import { RotatedFile, type RotatedFileOptions } from './rotated-file.ts';

export interface FileOutletOptions extends RotatedFileOptions {
  readonly batch?: BatchLimit;
}

const BATCH: BatchLimit = { events: 1_000, bytes: 4 * 2 ** 20 };

export function fileOutlet(options: FileOutletOptions): EventOutlet {
  const file = new RotatedFile(options);
  return {
    name: 'file',
    batch: options.batch ?? BATCH,
    deliver: (batch) => file.append(batch.map(({ json }) => `${json}\n`)),
  };
}
