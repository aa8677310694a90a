/** The built programs as a user runs them: exit codes, NDJSON, and nothing that a guest wrote reaches the output as it is. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sha256Of } from '../memory-guest.ts';
import { need } from '../need.ts';
import { EICAR, KNOWN_BY_HASH, MARKER, type ServedFolder } from './served-folder.ts';
import { serve } from './setting.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/core/main.js', import.meta.url));
const HOSTILE_NAME = Buffer.from('\x1b[2J\nowned\u202e\xff', 'latin1');

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe.runIf(need({ what: 'the built program', there: existsSync(PROGRAM), get: 'npm run build' }))(
  'lazaret',
  () => {
    function lazaret(...args: readonly string[]): Promise<Ended> {
      const { promise, resolve } = Promise.withResolvers<Ended>();
      const line = ['--disable-warning=ExperimentalWarning', PROGRAM, ...args];
      execFile(process.execPath, line, { maxBuffer: 1 << 26 }, (error, out, err) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }),
      );
      return promise;
    }

    function targetOf(guest: ServedFolder): string[] {
      const at = (name: string) => join(guest.directory, name);
      writeFileSync(
        at('rules.yar'),
        `rule Eicar { strings: $a = "EICAR-STANDARD-ANTIVIRUS" condition: $a }\n` +
          `rule Marked { strings: $a = "${MARKER}" condition: $a }\n`,
      );
      writeFileSync(at('hashes.txt'), `${sha256Of(Buffer.from(KNOWN_BY_HASH))} Known\n`);
      const known = ['--rules', at('rules.yar'), '--hashes', at('hashes.txt')];
      return ['--socket', guest.socket, '--name', 'guest', '--state', at('state'), ...known];
    }

    const eventsIn = (out: string): Record<string, unknown>[] =>
      out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));

    it('exits with 0 when the guest is clean', async () => {
      const guest = await serve();
      guest.plant('/etc/motd', 'welcome\n');
      const { code, out, err } = await lazaret('scan', ...targetOf(guest));
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^guest: 1 file, .*\n\nclean\n$/s);
    });

    it('exits with 1 when something was found, and cleans up in mode contain', async () => {
      const guest = await serve();
      guest.plant('/tmp/eicar.com', EICAR);
      guest.plant('/srv/known', KNOWN_BY_HASH);
      const found = await lazaret('scan', ...targetOf(guest), '--json');
      expect({ code: found.code, err: found.err }).toEqual({ code: 1, err: '' });
      expect(eventsIn(found.out).map(({ class_uid }) => class_uid)).toEqual([6007, 2004, 2004, 6007]);
      expect((await lazaret('scan', ...targetOf(guest), '--mode', 'contain')).code).toBe(1);
      expect(guest.has('/tmp/eicar.com') || guest.has('/srv/known')).toBe(false);
      expect((await lazaret('scan', ...targetOf(guest), '--json')).code).toBe(0);
    });

    it('exits with 2 when a rule is broken, names it with its line, and finds the rest', async () => {
      const guest = await serve();
      guest.plant('/tmp/eicar.com', EICAR);
      const broken = join(guest.directory, 'broken.yar');
      writeFileSync(broken, 'rule Broken {\n  condition: $nothing\n}\n');
      const { code, out, err } = await lazaret('scan', ...targetOf(guest), '--rules', broken, '--json');
      expect(code).toBe(2);
      expect(err).toMatch(/broken\.yar:2: /);
      expect(eventsIn(out).filter(({ class_uid }) => class_uid === 2004)).toHaveLength(1);
    });

    it('exits with 2 when no agent answers', async () => {
      const guest = await serve();
      await guest.killAgent();
      const { code, out, err } = await lazaret('scan', ...targetOf(guest), '--json');
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(/^guest: not scanned to the end\nlazaret: .*\((connect-failed|no-agent)\)\n/);
    });

    it.each(['people', 'programs'])('lets no hostile name through to %s', async (reader) => {
      const guest = await serve();
      guest.plant(Buffer.concat([Buffer.from('/tmp/'), HOSTILE_NAME]), MARKER);
      const args = [
        'scan',
        ...targetOf(guest),
        '--mode',
        'contain',
        ...(reader === 'programs' ? ['--json'] : []),
      ];
      const { code, out } = await lazaret(...args);
      expect(code).toBe(1);
      expect(out).toContain(reader === 'programs' ? '\\\\x1b[2J\\\\x0aowned' : '\\x1b[2J\\x0aowned');
      expect(out.replaceAll('\n', '')).not.toMatch(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
      if (reader === 'programs') expect(eventsIn(out)).toHaveLength(5);
      const state = ['--state', join(guest.directory, 'state')];
      for (const list of [['findings'], ['quarantine', 'list']]) {
        const listed = await lazaret(...list, ...state);
        expect(listed.out).toContain('\\x1b[2J\\x0aowned');
        expect(listed.out.split('\n')).toHaveLength(3);
      }
    });

    it('shows what was negotiated and granted, with D3FEND ids, and what was withheld', async () => {
      const guest = await serve({ denied: ['delete:file'] });
      await lazaret('scan', ...targetOf(guest));
      const show = ['vm', 'show', 'guest', '--state', join(guest.directory, 'state')];
      const { code, out } = await lazaret(...show);
      expect(code).toBe(0);
      expect(out).toMatch(/stop:process +D3-PT /);
      expect(out).toMatch(/contain:file +D3-CQ /);
      expect(out).toMatch(/delete:file +D3-FEV +the guest's administrator denies it/);
      const [shown] = eventsIn((await lazaret(...show, '--json')).out);
      expect(shown).toMatchObject({
        instructionSet: { instructions: expect.arrayContaining([{ name: 'contain:file', d3fend: 'D3-CQ' }]) },
      });
    });

    it('restores what was contained', async () => {
      const guest = await serve();
      guest.plant('/tmp/eicar.com', EICAR);
      await lazaret('scan', ...targetOf(guest), '--mode', 'contain');
      const state = ['--state', join(guest.directory, 'state')];
      const [held] = eventsIn((await lazaret('quarantine', 'list', '--json', ...state)).out);
      const restored = await lazaret('quarantine', 'restore', String(held?.id), ...state);
      expect({ code: restored.code, err: restored.err }).toEqual({ code: 0, err: '' });
      expect(guest.text('/tmp/eicar.com')).toBe(EICAR);
      expect((await lazaret('quarantine', 'restore', String(held?.id), ...state)).code).toBe(1);
    });

    it('stops when it is interrupted, says that it was, and can begin anew', async () => {
      const guest = await serve();
      for (let number = 0; number < 150; number++) guest.plant(`/srv/${number}`, `${MARKER} ${number}`);
      const child = spawn(
        process.execPath,
        [
          '--disable-warning=ExperimentalWarning',
          PROGRAM,
          'scan',
          ...targetOf(guest),
          '--mode',
          'contain',
          '--json',
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      const events = await interruptAtFirstFinding(child);
      expect(child.exitCode).toBe(2);
      expect(events.at(-1)).toMatchObject({ class_uid: 6007, activity_id: 3 });
      expect((await lazaret('scan', ...targetOf(guest), '--mode', 'contain')).code).toBe(1);
      expect((await lazaret('scan', ...targetOf(guest))).code).toBe(0);
    });
  },
);

async function interruptAtFirstFinding(child: ChildProcess): Promise<Record<string, unknown>[]> {
  const events: Record<string, unknown>[] = [];
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  child.once('close', () => resolve());
  if (!child.stdout) throw new TypeError('its output is piped');
  for await (const line of createInterface({ input: child.stdout })) {
    events.push(JSON.parse(line));
    if (events.length === 2) child.kill('SIGINT');
  }
  await gone;
  return events;
}
