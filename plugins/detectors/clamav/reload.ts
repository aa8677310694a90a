import { connect } from 'node:net';
import { ClamdError } from './clamd-error.ts';

const ACCEPTED = 'RELOADING';

/**
 * `zRELOAD`, which clamd takes outside a session only. It answers before it loads anything, and forgets the
 * request when it is loading already. Rejects with ClamdError.
 */
export function requestReload(path: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path, () => socket.write('zRELOAD\0'));
    socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    socket.once('error', (cause) =>
      reject(
        new ClamdError('unreachable', `nobody takes connections at ${path}: ${cause.message}`, { cause }),
      ),
    );
    socket.once('close', () => {
      if (answer.startsWith(ACCEPTED)) resolve();
      else
        reject(new ClamdError('nonsense', `clamd does not reload: ${JSON.stringify(answer.slice(0, 80))}`));
    });
  });
}
