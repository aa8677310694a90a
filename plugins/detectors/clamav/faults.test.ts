/** A clamd that is away, hangs, is killed, reloads or talks nonsense. What it was to look at is never clean. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Answer, Detector } from 'lazaret/plugin';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hasClamd, TestClamd } from '../../../test/clamd.ts';
import { setUp } from '../../../test/conformance/set-up.ts';
import { answersOf, fileSubject } from '../../../test/conformance/subjects.ts';
import plugin from './index.ts';

const clean = path.join(import.meta.dirname, 'fixtures', 'clean.txt');
const failed = { unscanned: 'engine-failed' };

async function ask(detector: Detector, ...files: string[]): Promise<(Answer | undefined)[]> {
  const subjects = files.map(fileSubject);
  const answers = await answersOf(detector, subjects);
  return subjects.map(({ id }) => answers.get(id));
}

describe.runIf(hasClamd())('a clamd', () => {
  let clamd: TestClamd;
  let detector: Detector;
  beforeEach(async () => {
    clamd = await TestClamd.start();
    detector = await setUp(plugin, { socket: clamd.socket, config: clamd.configFile, deadlineSeconds: 3 });
  });
  afterEach(async () => {
    await detector.close();
    await clamd[Symbol.asyncDispose]();
  });

  it('that is away lets what it was to look at be unscanned, and is left alone then', async () => {
    await clamd.kill();
    const answers = await ask(detector, ...Array.from({ length: 20 }, () => clean));
    for (const answer of answers) expect(answer).toMatchObject(failed);
    const [later] = await ask(detector, clean);
    expect(later).toMatchObject({
      ...failed,
      detail: expect.stringMatching(/clamd at .* does not answer.*tried \d+ times/),
    });
    expect(detector.problems).toMatchObject([{ file: clamd.socket }]);
  });

  it('that was never there is no reason not to start', async () => {
    const other = await setUp(plugin, { socket: path.join(clamd.directory, 'none') });
    expect(await ask(other, clean)).toMatchObject([failed]);
    expect(other.problems).toHaveLength(1);
    await other.close();
  });

  it('that hangs is found out', async () => {
    await ask(detector, clean);
    process.kill(clamd.pid, 'SIGSTOP');
    const [answer] = await ask(detector, clean);
    expect(answer).toMatchObject({ ...failed, detail: expect.stringContaining('hangs') });
    process.kill(clamd.pid, 'SIGCONT');
    expect(await ask(detector, clamd.sample('clam.exe'))).toMatchObject([{ detections: [{}] }]);
  });

  it('that is killed with content in its hands leaves it unscanned, and is used again when it is back', async () => {
    await ask(detector, clean);
    process.kill(clamd.pid, 'SIGSTOP');
    const asked = ask(detector, clean, clamd.sample('clam.zip'));
    await clamd.kill();
    for (const answer of await asked) expect(answer).toMatchObject(failed);
    await clamd.launch();
    await vi.waitFor(
      async () =>
        expect(await ask(detector, clean, clamd.sample('clam.zip'))).toMatchObject([
          { detections: [] },
          { detections: [{ name: 'ClamAV-Test-File' }] },
        ]),
      { timeout: 20_000 },
    );
  });

  it('that is started anew with other limits is met anew', async () => {
    expect(await ask(detector, clean)).toMatchObject([{ detections: [] }]);
    await clamd.kill();
    clamd.configure({ AlertExceedsMax: 'no' });
    await clamd.launch();
    expect(await ask(detector, clean)).toMatchObject([{ unscanned: 'engine-limit' }]);
  });

  it('that reloads meanwhile answers right', async () => {
    const files = Array.from({ length: 60 }, (_, turn) =>
      turn % 2 === 0 ? clamd.sample('clam.tar.gz') : clean,
    );
    for (let round = 0; round < 3; round++) {
      connect(clamd.socket).end('zRELOAD\0');
      const answers = await ask(detector, ...files);
      for (const [turn, answer] of answers.entries()) {
        expect(answer).toMatchObject({ detections: turn % 2 === 0 ? [{ name: 'ClamAV-Test-File' }] : [] });
      }
    }
  });
});

describe('who is no clamd', () => {
  let directory: string;
  let server: Server;
  let detector: Detector;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'lazaret-no-clamd-'));
  });
  afterEach(async () => {
    await detector.close();
    server.close();
    rmSync(directory, { recursive: true });
  });

  /** `answer` gives what is sent for a command; undefined ends the connection. */
  async function serve(answer: (command: string, number: number) => string | undefined): Promise<void> {
    const socket = path.join(directory, 's');
    server = createServer((connection) => {
      let number = 0;
      connection.on('error', () => undefined);
      connection.on('data', (bytes) => {
        for (const [, command = ''] of bytes.toString('latin1').matchAll(/z([A-Z]+[^\0]*)\0/g)) {
          if (command === 'IDSESSION') continue;
          const text = answer(command, ++number);
          if (text === undefined) connection.destroy();
          else connection.write(text);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    detector = await setUp(plugin, { socket, deadlineSeconds: 3 });
  }

  it.each([
    ['noise', () => '\x00\x01\x02\xff\x00'],
    ['a line without an end', () => 'x'.repeat(100_000)],
    ['the number of another', (_: string, number: number) => `${number + 1}: PONG\0`],
    ['nothing, and leaves', () => undefined],
  ])('and answers %s', async (_, answer) => {
    await serve(answer);
    expect(await ask(detector, clean, clean)).toMatchObject([failed, failed]);
  });

  it.each([
    ['another path', '/etc/passwd: OK'],
    ['something else', 'PONG'],
    ['OK and no path', 'OK'],
    ['two answers at once', `${clean}: OK\x001: ${clean}: OK`],
  ])('and answers a scan with %s', async (_, text) => {
    const well: Record<string, string> = {
      STATS: 'THREADS: live 1  idle 0 max 4 idle-timeout 30\nEND',
      VERSION: 'ClamAV 1.4.6',
      INSTREAM: 'stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND',
    };
    await serve((command, number) => `${number}: ${well[command] ?? text}\0`);
    const [answer] = await ask(detector, clean);
    // Of two answers the first is one; the session is then broken off, and nothing else rests on it.
    if (text.startsWith(clean)) expect(answer).toMatchObject({ detections: [] });
    else expect(answer).toMatchObject(failed);
  });

  it('and answers right and then more, has its session broken off', async () => {
    writeFileSync(path.join(directory, 'x'), '');
    let connections = 0;
    await serve((_, number) => {
      if (number === 1) connections += 1;
      return `${number}: PONG\0${number}: PONG\0`;
    });
    await ask(detector, clean);
    expect(connections).toBeGreaterThan(1);
  });
});
