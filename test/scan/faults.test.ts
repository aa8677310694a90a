/** Scans that are cut short: by an agent that dies, a channel that breaks, a person who stops them, a rule that is broken. */
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { ChannelError } from '../../core/channel/error.ts';
import type { OcsfEvent } from '../../core/events/sink.ts';
import { answersIn } from './engine.ts';
import { Relay } from './relay.ts';
import { MARKER, type ServedFolder } from './served-folder.ts';
import { forThisTest, serve, startEngine } from './setting.ts';

/** A spool so small, beside files so large, that each file is judged and answered by itself. */
const SPOOL_BYTES = 1024 * 1024;
const FILE_BYTES = 200_000;

async function infected(files: number): Promise<ServedFolder> {
  const guest = await serve();
  for (let number = 0; number < files; number++) {
    guest.plant(`/srv/implant-${number}`, MARKER.padEnd(FILE_BYTES, String(number % 10)));
  }
  return guest;
}

/** `activity_id` of a finding that is told for the first time. */
const CREATE = 1;

/** Calls `act` when the `count`-th finding is told, before anything is done about it. */
function atFinding(count: number, act: () => Promise<void> | void) {
  let found = 0;
  return ({ class_uid, activity_id }: OcsfEvent): Promise<void> | void => {
    if (class_uid === 2004 && activity_id === CREATE && ++found === count) return act();
  };
}

const leftIn = (guest: ServedFolder, files: number): number =>
  Array.from({ length: files }, (_, number) => guest.has(`/srv/implant-${number}`)).filter(Boolean).length;

describe('an agent that dies within a scan', () => {
  it('fails that scan; what was begun is settled by the next one, which ends clean', async () => {
    const guest = await infected(6);
    const engine = await startEngine(guest, {
      spoolBytes: SPOOL_BYTES,
      onEvent: atFinding(2, () => guest.killAgent()),
    });
    await expect(engine.scan({ mode: 'contain' })).rejects.toBeInstanceOf(ChannelError);
    const cut = engine.kept();
    expect(cut.scans).toMatchObject([{ state: 'failed', summary: { malicious: expect.any(Number) } }]);
    expect(cut.actions.filter(({ outcome }) => !outcome)).toHaveLength(1);
    expect(cut.vault.map(({ status }) => status).toSorted()).toEqual(['arriving', 'held']);
    expect(engine.events.at(-1)).toMatchObject({ class_uid: 6007, activity_id: 6, status_id: 2 });
    expect(engine.spooled()).toEqual([]);

    await guest.startAgent();
    const report = await engine.scan({ mode: 'contain' });
    expect(report.scan).toMatchObject({ state: 'finished', summary: { unscanned: {} } });
    expect(leftIn(guest, 6)).toBe(0);
    const { actions, vault } = engine.kept();
    expect(actions.map(({ outcome }) => outcome?.code)).toEqual(Array(6).fill('done'));
    expect(vault.map(({ status }) => status)).toEqual(Array(6).fill('held'));
    expect((await engine.scan()).findings).toEqual([]);
  });
});

describe('a channel that breaks after a command was sent', () => {
  it('leaves the intent open; the next connection learns the first outcome and nothing is done twice', async () => {
    const guest = await infected(2);
    const relay = forThisTest(await Relay.start(join(guest.directory, 'relay.sock'), guest.socket));
    const engine = await startEngine(guest, {
      spoolBytes: SPOOL_BYTES,
      onEvent: atFinding(2, () => {
        relay.losesAnswers = true;
      }),
    });
    const options = { mode: 'contain', socket: join(guest.directory, 'relay.sock') } as const;
    const scan = engine.scan(options);
    const failed = expect(scan).rejects.toBeInstanceOf(ChannelError);
    await vi.waitFor(() => expect(leftIn(guest, 2)).toBe(0), { timeout: 20_000 });
    relay.cut();
    await failed;
    expect(engine.kept().actions.filter(({ outcome }) => !outcome)).toHaveLength(1);

    const report = await engine.scan(options);
    expect(report.findings).toEqual([]);
    const { actions, vault, journal } = engine.kept();
    expect(actions.map(({ outcome }) => outcome?.code)).toEqual(['done', 'done']);
    expect(vault.map(({ status }) => status)).toEqual(['held', 'held']);
    // Two intents, two outcomes, and that the answer to one did not come.
    expect(journal).toHaveLength(5);
    expect(journal.filter((entry) => entry === 'try')).toHaveLength(1);
    // The finding says what became of it, though its scan never heard.
    expect(engine.kept().findings.map(({ response }) => response)).toEqual(['contained', 'contained']);
  });
});

describe('a scan that is cancelled', () => {
  it('ends, says so, keeps what was found and does nothing more; the next one works', async () => {
    const guest = await infected(8);
    const stop = new AbortController();
    const engine = await startEngine(guest, {
      spoolBytes: SPOOL_BYTES,
      onEvent: atFinding(2, () => stop.abort(new Error('interrupted'))),
    });
    await expect(engine.scan({ mode: 'contain', signal: stop.signal })).rejects.toMatchObject({
      name: 'ChannelError',
      code: 'cancelled',
    });
    const { scans, findings, actions } = engine.kept();
    expect(scans).toMatchObject([{ state: 'cancelled' }]);
    expect(findings).toHaveLength(2);
    expect(actions).toHaveLength(1);
    expect(engine.events.at(-1)).toMatchObject({ class_uid: 6007, activity_id: 3 });
    expect(engine.spooled()).toEqual([]);
    const report = await engine.scan();
    expect(Object.keys(answersIn(report))).toHaveLength(7);
  });

  it('does not begin when it was cancelled before', async () => {
    const guest = await infected(1);
    const engine = await startEngine(guest);
    await expect(engine.scan({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    expect(engine.kept().scans).toEqual([]);
  });
});

describe('a rule that does not compile', () => {
  it('is named with its line; the others run', async () => {
    const guest = await serve();
    guest.plant('/tmp/marked', MARKER);
    const broken = 'rule Fine { condition: false }\n\nrule Broken {\n  condition: $undefined\n}\n';
    const engine = await startEngine(guest, { rules: { 'broken.yar': broken } });
    const report = await engine.scan();
    expect(report.problems).toMatchObject([
      { detector: 'yara', file: expect.stringContaining('broken.yar'), line: 4 },
    ]);
    expect(answersIn(report)).toEqual({ '/tmp/marked': 'reported' });
  });
});

it('does not scan where no agent is', async () => {
  const guest = await serve();
  const engine = await startEngine(guest);
  await guest.killAgent();
  await expect(engine.scan()).rejects.toMatchObject({ name: 'ChannelError' });
  expect(engine.kept().scans).toEqual([]);
});
