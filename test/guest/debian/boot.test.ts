/**
 * The agent's package in a Debian guest: dpkg installs it, systemd starts it with its port, the engine on the host
 * scans through it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { need } from '../../need.ts';
import { answersIn, TestEngine } from '../../scan/engine.ts';
import { EICAR } from '../../scan/served-folder.ts';
import { DebianGuest } from './boot.ts';
import { buildDebianImage } from './image.ts';
import { debianNeeds, debianParts } from './parts.ts';

/** Emulated on a busy machine. */
const BOOT_MS = 240_000;
const STARTED = /Started lazaret-agent\.service/;
const STOPPED = /Stopped lazaret-agent\.service/;
const CREDENTIAL = 'sent-by-the-firmware';

describe.runIf(need(...debianNeeds()))(
  'a Debian guest with the package of the agent',
  { timeout: BOOT_MS },
  () => {
    let directory: string;
    let guest: DebianGuest;
    let engine: TestEngine;

    const scan = (root: string) => engine.scan({ socket: guest.socket, root });

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'debian-'));
      const parts = debianParts();
      const image = await buildDebianImage({ parts, directory: join(directory, 'image'), prepare });
      const oemStrings = [`io.systemd.credential:lazaret.enrolment=${CREDENTIAL}`];
      guest = await DebianGuest.boot({ parts, image, directory: join(directory, 'guest'), oemStrings });
      engine = await TestEngine.start(join(directory, 'engine'), { policy: { deadlines: PATIENT } });
      await guest.portOpen();
    }, BOOT_MS);

    afterAll(async () => {
      await engine?.[Symbol.asyncDispose]();
      await guest?.[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    });

    it('is scanned by the host: what is infected is found', async () => {
      expect(answersIn(await scan('/srv'))).toEqual({ '/srv/www/upload.com': 'reported' });
    });

    it('is scanned by the host: what is not is clean, the programs of systemd among it', async () => {
      const report = await scan('/usr/lib/systemd');
      expect(report.findings).toEqual([]);
      expect(report.scan).toMatchObject({ state: 'finished', summary: { malicious: 0, unscanned: {} } });
      expect(report.scan.summary?.files).toBeGreaterThan(100);
    });

    it('hands the credential for enrolment on from the firmware to the agent', async () => {
      await guest.console.says(new RegExp(CREDENTIAL));
    });

    it('ends the agent when the port is taken away, and starts it when the port is given back', async () => {
      const before = guest.console.count(STARTED);
      expect(before).toBeGreaterThan(0);
      guest.unplugPort();
      await guest.console.says(STOPPED);
      guest.plugPort();
      await guest.console.says(STARTED, before + 1);
      await guest.portOpen();
      expect(answersIn(await scan('/srv'))).toEqual({ '/srv/www/upload.com': 'reported' });
    });

    it('lets the agent do what it has to, confined as its unit has it', async () => {
      const report = await engine.scan({ socket: guest.socket, root: '/srv', mode: 'contain' });
      expect(answersIn(report)).toEqual({ '/srv/www/upload.com': 'contained' });
      expect(answersIn(await scan('/srv'))).toEqual({});
    });
  },
);

/** An emulated guest that boots has little time for us. */
const PATIENT = { resync: 60_000, tls: 60_000, login: 60_000, command: 60_000, streamIdle: 60_000 };

function prepare(root: string): void {
  mkdirSync(join(root, 'srv', 'www'), { recursive: true });
  writeFileSync(join(root, 'srv', 'www', 'index.html'), 'welcome\n');
  writeFileSync(join(root, 'srv', 'www', 'upload.com'), EICAR);
  // Shows what the agent was given.
  const place = join(root, 'etc', 'systemd', 'system', 'lazaret-agent.service.d');
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'show.conf'), '[Service]\nExecStartPost=/bin/cat %d/lazaret.enrolment\n');
}
