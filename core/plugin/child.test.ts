import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { PluginChild } from './child.ts';
import { type FromChild, MAX_LINE } from './messages.ts';

const GIB = 1024 ** 3;
const STAY = 'setInterval(() => {}, 1000);';

/** Runs the script as if it were a plugin; what was understood, and why it ended. */
async function run(
  script: string,
  { memoryBytes = GIB, onMessage = (_: PluginChild): void => undefined } = {},
): Promise<{ readonly messages: FromChild[]; readonly reason: string }> {
  const messages: FromChild[] = [];
  const started = spawn(process.execPath, ['-e', script], { env: {}, stdio: 'pipe' });
  const child: PluginChild = new PluginChild(started, memoryBytes, (message) => {
    messages.push(message);
    onMessage(child);
  });
  child.send({ type: 'abort', call: 7 });
  return { messages, reason: await child.ended };
}

const say = (message: object): string =>
  `process.stdout.write(${JSON.stringify(`${JSON.stringify(message)}\n`)});`;

describe('a child process', () => {
  it('is told a line, is heard line by line, and says how it ended', async () => {
    const script = `process.stdin.once('data', (text) => {
      ${say({ type: 'failed', message: 'one' })}
      process.stdout.write('{"type":"done",');
      setImmediate(() => { process.stdout.write('"call":' + JSON.parse(text).call + '}\\n'); process.stderr.write('bye'); process.exitCode = 4; process.stdin.unref(); });
    });`;
    expect(await run(script)).toEqual({
      messages: [
        { type: 'failed', message: 'one' },
        { type: 'done', call: 7 },
      ],
      reason: 'it ended by itself (exit 4): bye',
    });
  });

  it('is killed for the first reason', async () => {
    const { reason } = await run(`${say({ type: 'done', call: 1 })}${STAY}`, {
      onMessage: (child) => {
        child.kill('enough');
        child.kill('more than enough');
      },
    });
    expect(reason).toBe('enough');
  });

  it.each([
    ['what is no JSON', "process.stdout.write('hello\\n');"],
    ['what is no message', 'process.stdout.write(\'{"type":"hello"}\\n\');'],
    ['nesting without end', "process.stdout.write('['.repeat(500000) + '\\n');"],
  ])('is killed when it says %s, and nothing after that is heard', async (_, script) => {
    const { messages, reason } = await run(`${script}${say({ type: 'done', call: 1 })}${STAY}`);
    expect(reason).toMatch(/^it said what the host does not understand: /);
    expect(messages).toEqual([]);
  });

  it('is killed when a line does not end, or it prints without end', async () => {
    const { reason } = await run(`process.stdout.write('x'.repeat(${2 * MAX_LINE}));${STAY}`);
    expect(reason).toMatch(/more than \d+ characters in one line/);
    const printing = "const more = () => process.stderr.write('x'.repeat(1048576), more); more();";
    expect((await run(printing)).reason).toBe('it printed more than 64 MiB');
  });

  it('is killed when it needs more memory than it may', async () => {
    const script = `const kept = Buffer.alloc(200 * 1024 * 1024, 1);${STAY}`;
    expect((await run(script, { memoryBytes: 100 * 1024 * 1024 })).reason).toBe(
      'it needs more than 100 MiB of memory',
    );
  });

  it('that cannot be started has ended', async () => {
    const started = spawn('/nonexistent', [], { stdio: 'pipe' });
    expect(await new PluginChild(started, GIB, () => undefined).ended).toMatch(/ENOENT/);
  });
});
