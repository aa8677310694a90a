import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { type Confinement, confinement } from './confine.ts';
import { MemoryWatch, residentBytes } from './memory-watch.ts';

const NODE = process.execPath;
const MIB = 1024 * 1024;

let confined: Confinement;
let folder: string;
beforeAll(async () => {
  confined = await confinement();
  folder = mkdtempSync(join(tmpdir(), 'lazaret-confine-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a script confined; what it prints. */
async function run(script: string, ...args: string[]): Promise<string> {
  const command = confined.around({ program: NODE, args: ['-e', script, ...args] });
  const child = spawn(command.program, [...command.args], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => said.push(text));
  }
  await once(child, 'close');
  return said.join('');
}

const everything = need({
  what: 'full confinement',
  there: await confinement().then(({ lacking }) => lacking.length === 0),
  get: 'util-linux and the right to make namespaces; as another user than root also apt-get install bubblewrap',
});

it('says what it does and what this host cannot do', () => {
  expect(confined.measures.length + confined.lacking.length).toBeGreaterThan(3);
});

it('runs a program with its arguments as they are', async () => {
  expect(await run('process.stdout.write(process.argv[1])', '$(id) "; *')).toBe('$(id) "; *');
});

describe.runIf(everything)('a confined process', () => {
  it('reads what only its starter may read', async () => {
    const file = join(folder, 'private');
    writeFileSync(file, 'content', { mode: 0o600 });
    expect(await run('process.stdout.write(fs.readFileSync(process.argv[1]))', file)).toBe('content');
  });

  it('writes and removes nothing', async () => {
    const file = join(folder, 'kept');
    writeFileSync(file, 'kept');
    const script = `for (const act of ['writeFileSync', 'unlinkSync', 'truncateSync', 'mkdirSync'])
      try { fs[act](process.argv[1] + (act === 'mkdirSync' ? '.d' : ''), 'x') } catch {}`;
    await run(script, file);
    expect(readFileSync(file, 'utf8')).toBe('kept');
    expect(readdirSync(folder)).not.toContain('kept.d');
  });

  it('writes the one file that it is given', async () => {
    const [given, other] = [join(folder, 'given'), join(folder, 'other')];
    for (const file of [given, other]) writeFileSync(file, 'before');
    chmodSync(given, 0o666);
    const script = `for (const file of process.argv.slice(1)) try { fs.writeFileSync(file, 'after') } catch {}`;
    const command = confined.around({ program: NODE, args: ['-e', script, given, other] }, given);
    await once(spawn(command.program, [...command.args], { cwd: '/', env: {}, stdio: 'ignore' }), 'close');
    expect([given, other].map((file) => readFileSync(file, 'utf8'))).toEqual(['after', 'before']);
  });

  it('reaches no socket of the host', async () => {
    const server = createServer((socket) => socket.end('reached')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const script = `net.connect(+process.argv[1], '127.0.0.1').on('error', ({ code }) => console.log(code))
      .on('data', (data) => console.log(String(data)))`;
    expect(await run(script, String(port))).toMatch(/ECONNREFUSED|ENETUNREACH/);
    server.close();
  });

  it('sees no process of the host, and cannot end one', async () => {
    const script = `try { process.kill(+process.argv[1], 0); console.log('there') } catch ({ code }) { console.log(code) }`;
    expect(await run(script, String(process.pid))).toBe('ESRCH\n');
  });

  it('has no rights to speak of, and gets none', async () => {
    const status = await run(`process.stdout.write(fs.readFileSync('/proc/self/status'))`);
    const DAC_READ_SEARCH = '0000000000000004';
    const expected = process.getuid?.() === 0 ? DAC_READ_SEARCH : '0000000000000000';
    expect(status).toMatch(new RegExp(`^CapEff:\\t${expected}$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    if (process.getuid?.() === 0) expect(status).not.toMatch(/^Uid:\t0\t/m);
  });

  it.runIf(process.getuid?.() === 0)('starts a few processes and no more', async () => {
    const script = `const { spawn } = require('node:child_process');
      const start = () => new Promise((resolve) => {
        const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
        child.on('spawn', () => resolve('started')).on('error', ({ code }) => resolve(code));
      });
      Promise.all(Array.from({ length: 80 }, start)).then((all) => {
        process.stdout.write([...new Set(all)].sort().join(), () => process.exit());
      })`;
    expect(await run(script)).toBe('EAGAIN,started');
  });

  it('is ended together with all that it forked', async () => {
    const script = `const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ['-e', 'console.log("forked"); setInterval(() => {}, 1e6)'], { detached: true, stdio: 'inherit' });
      setInterval(() => {}, 1e6)`;
    const command = confined.around({ program: NODE, args: ['-e', script] });
    const child = spawn(command.program, [...command.args], {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    const below = descendantsOf(child.pid ?? 0);
    expect(below.length).toBeGreaterThanOrEqual(2);
    child.kill('SIGKILL');
    // The pipe is open for as long as any of them lives.
    await once(child, 'close');
    expect(below.filter((pid) => existsSync(`/proc/${pid}/cwd`))).toEqual([]);
  });
});

describe('a watch of memory', () => {
  it('tells once when a process, with what it started, needs too much', async () => {
    const script = `globalThis.taken = Buffer.alloc(${200 * MIB}, 1); console.log('taken'); setInterval(() => {}, 1e6)`;
    const command = confined.around({ program: NODE, args: ['-e', script] });
    const child = spawn(command.program, [...command.args], {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    using _ = new MemoryWatch(child.pid ?? 0, 150 * MIB, (reason) => {
      child.kill('SIGKILL');
      resolve(reason);
    });
    expect(await promise).toContain('150 MiB');
    await once(child, 'close');
    expect(residentBytes(child.pid ?? 0)).toBe(0);
  });

  it('leaves a modest process alone', () => {
    expect(residentBytes(process.pid)).toBeGreaterThan(MIB);
    expect(residentBytes(2 ** 30)).toBe(0);
  });
});

function descendantsOf(pid: number): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.flatMap((child) => [child, ...descendantsOf(Number(child))]);
}
