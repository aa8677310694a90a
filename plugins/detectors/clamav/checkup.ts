/** What a running clamd is like, beside what config/clamd.conf asks for. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Checkup, PluginContext } from 'lazaret/plugin';
import { parseScan } from './answer.ts';
import { displayVersion, HIDES_LIMITS } from './clamav-detector.ts';
import { type Reached, reachClamd } from './open.ts';
import type { ClamavOptions } from './options.ts';

const OTHERS = 0o006;
const DAY_MS = 24 * 60 * 60 * 1000;
const OLD_DAYS = 3;

export async function checkClamav({ options }: PluginContext<ClamavOptions>): Promise<Checkup[]> {
  // Without a place for files nothing is put there.
  const reached = await reachClamd({ ...options, databaseDirectory: undefined });
  try {
    await reached.survey.refresh();
    const { known, fault } = reached.survey;
    if (known === undefined) {
      const remedy = `start clamd, and set plugins.clamav.socket to its LocalSocket; who may open it, LocalSocketGroup and LocalSocketMode say`;
      return [{ status: 'fail', detail: fault?.message ?? 'clamd does not answer', remedy }];
    }
    return [
      { status: 'ok', detail: `ClamAV ${displayVersion(known)} at ${options.socket}` },
      databaseAge(known.version.database?.date),
      known.tellsLimits
        ? { status: 'ok', detail: 'says so when a content exceeds its limits' }
        : {
            status: 'fail',
            detail: HIDES_LIMITS,
            remedy: 'set AlertExceedsMax yes, as in config/clamd.conf',
          },
      await socketMode(options.socket),
      await readsFiles(reached),
      limits(reached),
    ];
  } finally {
    reached.survey.close();
    reached.clamd.close();
  }
}

function databaseAge(date: string | undefined): Checkup {
  const remedy = 'install clamav-freshclam and let it reach its mirror';
  if (date === undefined) {
    return { status: 'warn', detail: "none of ClamAV's own databases is loaded, others only", remedy };
  }
  const days = Math.floor((Date.now() - Date.parse(date)) / DAY_MS);
  const detail = Number.isNaN(days) ? `its database is of ${date}` : `its database is ${days} days old`;
  return days <= OLD_DAYS ? { status: 'ok', detail } : { status: 'warn', detail, remedy };
}

async function socketMode(socket: string): Promise<Checkup> {
  const { mode } = await stat(socket);
  const octal = (mode & 0o777).toString(8);
  if ((mode & OTHERS) === 0) return { status: 'ok', detail: `its socket has the mode ${octal}` };
  const detail = `its socket has the mode ${octal}: every user of this host can have it scan, reload and shut down`;
  return {
    status: 'fail',
    detail,
    remedy: 'set LocalSocketMode 660 and LocalSocketGroup to a group of Lazaret',
  };
}

/** Whether it reads a file of ours where it lies, or has to be sent all. */
async function readsFiles({ clamd }: Reached): Promise<Checkup> {
  const directory = await mkdtemp(join(tmpdir(), 'lazaret-clamav-'));
  try {
    const file = join(directory, 'probe');
    await writeFile(file, 'probe', { mode: 0o400 });
    const answer = parseScan(
      await clamd.ask({ command: `SCAN ${file}` }, new AbortController().signal),
      file,
    );
    if (answer.told === 'ok') return { status: 'ok', detail: 'reads contents where they lie' };
    const why = 'message' in answer ? `: ${answer.message}` : '';
    return {
      status: 'warn',
      detail: `cannot read a file of ours${why}; contents are sent to it, which is slower`,
      remedy: 'let the spool belong to a group of clamd, as the README of the plugin tells',
    };
  } catch (error) {
    return { status: 'fail', detail: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(directory, { recursive: true });
  }
}

function limits({ config }: Reached): Checkup {
  const MiB = 1024 * 1024;
  if (config === undefined) {
    return {
      status: 'warn',
      detail: 'its configuration cannot be read, so that contents over 100 MiB are not handed to it',
      remedy: 'set plugins.clamav.config to the configuration of this clamd, or maxFileBytes',
    };
  }
  const { maxFileBytes, streamMaxBytes, maxScanBytes } = config;
  const largest = Math.floor(Math.min(maxFileBytes, streamMaxBytes, maxScanBytes) / MiB);
  return { status: 'ok', detail: `takes contents of up to ${largest} MiB` };
}
