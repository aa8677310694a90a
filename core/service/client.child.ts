/** Run by client.test.ts: a user of the host who asks at the daemon's socket, and is not root. */
import { connectDaemon } from './client.ts';

const NOBODY = 65_534;
const [socketPath = ''] = process.argv.slice(2);
if (process.getuid?.() === 0) {
  process.setgroups?.([NOBODY]);
  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
}
const error = await connectDaemon(socketPath).catch((thrown: unknown) => thrown);
process.stdout.write(String((error as { code?: unknown } | undefined)?.code ?? error));
