/** Fifty guests at once, some of which are hostile: they take nothing from the others. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../demo/package-root.ts';
import { FRAME_ATTACKS } from '../channel/attacks.ts';
import type { Script } from '../channel/scripted-agent.ts';
import { need } from '../need.ts';
import { asVms, type ScriptedGuest, scriptedGuest } from './scripted-guests.ts';
import { Serving } from './serving.ts';

const ready = need({
  what: 'the built program',
  there: existsSync(join(packageRoot, 'dist', 'core', 'main.js')),
  get: 'npm run build',
});

const HONEST = 46;
const PATIENCE_MS = 120_000;
const DRIP_MS = 100;

const drip = (socket: Socket): void => {
  const timer = setInterval(() => socket.write(Buffer.of(0x5a)), DRIP_MS);
  socket.on('close', () => clearInterval(timer)).resume();
};

const HOSTILE: Readonly<Record<string, Omit<Script, 'keys'>>> = {
  silent: { bytes: (socket) => void socket.resume() },
  dripping: { bytes: drip },
  closing: { bytes: (socket) => void socket.destroy() },
  flooding: FRAME_ATTACKS['floods PING'] ?? {},
};

describe.runIf(ready)('fifty guests', { timeout: PATIENCE_MS }, () => {
  const guests: ScriptedGuest[] = [];
  let directory: string;
  let serving: Serving;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'many-'));
    // The hostile ones come first.
    for (const [name, script] of Object.entries(HOSTILE))
      guests.push(await scriptedGuest(directory, name, script));
    for (let index = 0; index < HONEST; index++)
      guests.push(await scriptedGuest(directory, `honest-${index}`));
    serving = await Serving.start(directory, {
      packs: { starter: false },
      plugins: {
        hashset: { lists: [join(packageRoot, 'demo', 'hashes', 'demo.txt')] },
        yara: { enabled: false },
      },
      vms: asVms(guests),
      // These agents tell no digests.
      policy: { knownContent: { agentHashes: false } },
    });
  }, PATIENCE_MS);

  afterAll(async () => {
    await serving?.[Symbol.asyncDispose]();
    await Promise.all(guests.map((guest) => guest[Symbol.asyncDispose]()));
    rmSync(directory, { recursive: true, force: true });
  });

  it('are all connected and scanned, but for those that let nobody', async () => {
    const isHonest = (name: string): boolean => name.startsWith('honest-');
    const scanned = await serving.until('all to be scanned', async () => {
      const { items } = await serving.client.scans({ limit: 200, state: 'finished' });
      const names = new Set(items.map(({ vm }) => vm.name));
      return names.size >= HONEST ? items : undefined;
    });
    expect(new Set(scanned.map(({ vm }) => vm.name)).size).toBe(HONEST);
    expect(scanned.every(({ vm, summary }) => isHonest(vm.name) && summary?.files === 1)).toBe(true);
    const vms = await serving.client.vms();
    for (const { name, connection } of vms)
      if (isHonest(name)) expect(connection, name).toMatchObject({ state: 'connected' });
    expect(await serving.client.health()).toMatchObject({ live: true, ready: true });
  });

  it('each of them is said once, with a code', async () => {
    for (const [name, code] of [
      ['silent', 'no-agent'],
      ['dripping', 'no-agent'],
      ['closing', 'no-agent'],
      ['flooding', 'protocol-violation'],
    ]) {
      await serving.says(new RegExp(`${name} is not connected`));
      const lines = serving.words.split('\n').filter((line) => line.includes(`${name} is not connected`));
      expect(lines, name).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? ''), name).toMatchObject({ facts: { code } });
    }
  });

  it('are let go of when the service stops, though some let it wait', { timeout: 30_000 }, async () => {
    serving.signal('SIGTERM');
    expect(await serving.stopped()).toBe(0);
  });
});
