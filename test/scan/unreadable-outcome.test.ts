/** A guest whose agent takes a file away and then says of it what cannot be read. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Io } from '../../core/cli/io.ts';
import { runCommandLine } from '../../core/cli/program.ts';
import { encodeFeatures, encodeOutcome, type Outcome, ROUTES } from '../../protocol/index.ts';
import {
  bodyOf,
  entry,
  FEATURES,
  fileRecords,
  type Handler,
  respond,
  ScriptedAgent,
  sendLines,
} from '../channel/scripted-agent.ts';
import { agentIdentity, freshPath, keysOf } from '../channel/setting.ts';
import { answersIn, TestEngine } from './engine.ts';
import { EICAR } from './served-folder.ts';
import { forThisTest } from './setting.ts';

const signal = new AbortController().signal;
const UNREADABLE = {
  code: 'done',
  state: { mode: 0o644, uid: 0, gid: 0, atime: 'next year', mtime: '1.000000000', xattrs: [] },
};

/** Has one malicious file until it was told to contain it; `answers` is what it says of that then. */
class TakingAgent {
  answers: unknown = UNREADABLE;
  commands: string[] = [];
  hasFile = true;
  readonly routes: Readonly<Record<string, Handler>> = {
    [ROUTES.files]: (stream) =>
      sendLines(stream, [
        { type: 'directory', path: '/', dev: '1', files: this.hasFile ? [entry('bad', EICAR.length)] : [] },
        { type: 'end', files: 1, directories: 1, bytes: EICAR.length },
      ]),
    [ROUTES.content]: (stream) => {
      stream.respond({ ':status': 200 });
      stream.end(fileRecords(0, Buffer.from(EICAR)));
    },
    [ROUTES.openc2]: (stream) => void bodyOf(stream).then((body) => respond(stream, 200, this.answer(body))),
  };

  private answer(body: Buffer): unknown {
    const message = JSON.parse(String(body));
    const id = message.headers.request_id;
    const { action } = message.body.openc2.request;
    if (action === 'query') return encodeFeatures(id, FEATURES);
    this.commands.push(action);
    if (action !== 'contain') return encodeOutcome(id, { code: 'done' });
    this.hasFile = false;
    return encodeOutcome(id, this.answers as Outcome);
  }
}

async function setUp() {
  const guest = new TakingAgent();
  const socket = freshPath();
  const script = { keys: keysOf(agentIdentity), routes: guest.routes };
  forThisTest(await ScriptedAgent.start(socket, script));
  const directory = `${socket}.host`;
  const engine = forThisTest(await TestEngine.start(directory));
  const scan = () => engine.scan({ mode: 'contain', socket });
  return { guest, engine, scan, directory };
}

/** What a command of `lazaret` prints about the state of an engine. */
async function lazaret(directory: string, ...args: string[]) {
  const text = { out: '', err: '' };
  const output = (to: 'out' | 'err') => ({
    stream: new Writable(),
    write: (written: string) => {
      text[to] += written;
    },
    isTTY: false,
    columns: 400,
  });
  const io: Io = {
    ...{ stdout: output('out'), stderr: output('err'), env: {}, exitCode: -1 },
    onHangup: () => () => undefined,
    onInterrupt: () => () => undefined,
    abort: () => undefined,
  };
  const unused = () => Promise.reject(new Error('not asked for'));
  await runCommandLine([...args, '--state', join(directory, 'state')], '1.2.3', {
    ...{ io, startEngine: unused, startHost: unused, plugins: async () => [] },
    catalogue: async () => ({ plugins: [], packages: [], refused: [] }),
  });
  return { code: io.exitCode, ...text };
}

describe('an outcome that cannot be read', () => {
  it('neither fails that scan nor a later one; at the third try the action is unknown, and told as such', async () => {
    const { guest, engine, scan, directory } = await setUp();
    const first = await scan();
    expect(first.scan.state).toBe('finished');
    expect(answersIn(first)).toEqual({ '/bad': 'unknown' });
    expect(engine.kept().vault).toMatchObject([{ status: 'arriving' }]);
    expect((await lazaret(directory, 'doctor')).out).toMatch(
      /actions +contain:file of \/bad in guest.*has not told/,
    );

    expect((await scan()).scan.state).toBe('finished');
    expect((await scan()).scan.state).toBe('finished');
    expect(guest.commands).toEqual(['contain', 'contain', 'contain']);
    const { actions, vault, findings, journal } = engine.kept();
    expect(actions).toMatchObject([{ outcome: { code: 'unknown' } }]);
    expect(vault).toMatchObject([{ status: 'held', path: '/bad' }]);
    expect(findings).toMatchObject([{ response: 'unknown', reason: expect.stringContaining('atime') }]);
    expect(journal).toEqual(['intent contain:file', 'try', 'try', 'try', 'outcome unknown']);
    expect(engine.events).toContainEqual(
      expect.objectContaining({ class_uid: 7002, status: 'Unknown', status_code: 'unknown' }),
    );
    expect((await lazaret(directory, 'findings')).out).toMatch(/malicious +unknown/);
    const doctor = await lazaret(directory, 'doctor');
    expect(doctor.out).toMatch(/actions +contain:file of \/bad in guest.*it is not known what came of it/);
    expect(doctor.out).toContain(`export or purge ${vault[0]?.id}`);

    await scan();
    expect(guest.commands).toHaveLength(3);
    await engine.services.quarantine.restore(String(vault[0]?.id), signal);
    expect(engine.kept().vault).toMatchObject([{ status: 'restored' }]);
    expect((await lazaret(directory, 'doctor')).out).not.toContain('quarantine restore');
  });

  it('is asked for again by who wants the file back, who gets it when it was asked for three times', async () => {
    const { engine, scan, guest } = await setUp();
    await scan();
    const [arriving] = engine.kept().vault;
    // Once by the scan, once as the session begins, and once more for the one who waits for it.
    await engine.services.quarantine.restore(String(arriving?.id), signal);
    expect(guest.commands).toEqual(['contain', 'contain', 'contain', 'restore']);
  });

  it('that can be read after all settles it as it was', async () => {
    const { engine, scan, guest } = await setUp();
    await scan();
    guest.answers = { ...UNREADABLE, state: { ...UNREADABLE.state, atime: '1000000000000.000000000' } };
    await scan();
    expect(engine.kept().actions).toMatchObject([{ outcome: { code: 'done' } }]);
    expect(engine.kept().vault).toMatchObject([
      { status: 'held', state: { atime: '1000000000000.000000000' } },
    ]);
  });

  it('keeps nobody from the content: it is exported once, as it was, for its owner alone', async () => {
    const { engine, scan, directory } = await setUp();
    await scan();
    const id = String(engine.kept().vault[0]?.id);
    const file = join(directory, 'evidence');
    expect(await lazaret(directory, 'quarantine', 'export', id, file)).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe(EICAR);
    expect(statSync(file).mode & 0o7777).toBe(0o600);
    const again = await lazaret(directory, 'quarantine', 'export', id, file);
    expect(again).toMatchObject({ code: 64, err: expect.stringContaining('is there already') });
    const strange = await lazaret(directory, 'quarantine', 'export', id.replaceAll(/./g, 'x'), `${file}2`);
    expect(strange).toMatchObject({ code: 1, err: expect.stringContaining('not-found') });
    await engine.services.quarantine.purge(id);
    expect(engine.kept().actions).toMatchObject([{ outcome: { code: 'unknown' } }]);
    expect(engine.kept().findings).toMatchObject([{ response: 'unknown' }]);
    const gone = await lazaret(directory, 'quarantine', 'export', id, `${file}3`);
    expect(gone).toMatchObject({ code: 1, err: expect.stringContaining('not-found') });
    expect(() => statSync(`${file}3`)).toThrow();
  });
});
