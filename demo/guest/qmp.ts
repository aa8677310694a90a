/**
 * QEMU's own control channel (QMP): JSON objects, one a line. QEMU greets, is told `qmp_capabilities`, and
 * from then on reports events such as a guest opening a virtio port.
 * Source: https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
import { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Emits `greeting`, then `port` with whether the guest has the agent's port open now. */
export class Qmp extends EventEmitter<{ greeting: []; port: [open: boolean] }> {
  constructor(output: Readable, input: Writable, port: string) {
    super();
    createInterface({ input: output }).on('line', (line) => {
      const message: { QMP?: unknown } & Partial<QmpEvent> = JSON.parse(line);
      if (message.QMP !== undefined) {
        input.write('{"execute":"qmp_capabilities"}\n');
        this.emit('greeting');
      }
      if (message.event === 'VSERPORT_CHANGE' && message.data?.id === port) {
        this.emit('port', message.data.open === true);
      }
    });
  }
}
