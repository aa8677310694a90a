/**
 * The process in which all calls to libvirt are made, in its one thread.
 *
 * A process and not a worker thread: a call into libvirt hangs for as long as a libvirtd or a QEMU does, and a
 * thread inside a native call cannot be ended; not even its own process can exit then. A process can be killed.
 */
import { Failure, send } from './messages.ts';

try {
  const { serve } = await import('./serve.ts');
  serve();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  // What the driver needs is not on this machine.
  send({ event: 'disconnected', fault: { code: error.code, message: error.message } });
  process.exitCode = 1;
}
