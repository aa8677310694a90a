/** `lazaret pack install` and `rollback`: by the daemon where one runs, else by an engine of our own. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { packArchive, readContent } from '../pack/content.ts';
import { PackError } from '../pack/error.ts';
import type { PackChange } from '../pack/packs.ts';
import type { DaemonClient } from '../service/client.ts';
import { DaemonError } from '../service/error.ts';
import { daemonOf } from './daemon.ts';
import type { Engine } from './engine.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import { interruptible } from './interrupt.ts';
import { type Context, noEvents, type Run } from './run.ts';

export const installPack = (run: Run, context: Context): Promise<number> =>
  change(run, context, 'in use', {
    daemon: (daemon) => naming(run, (path) => withArchive(path, (archive) => daemon.installPack(archive))),
    engine: (engine, signal) => naming(run, (path) => engine.packs.install(path, signal)),
  });

export function rollbackPack(run: Run, context: Context): Promise<number> {
  const [vendor = '', id = '', ...rest] = (run.args[0] ?? '').split('/');
  if (id === '' || rest.length > 0) throw new UsageError('name the pack as VENDOR/ID');
  return change(run, context, 'in use again', {
    daemon: (daemon) => daemon.rollbackPack(vendor, id),
    engine: (engine, signal) => engine.packs.rollback(vendor, id, signal),
  });
}

interface Work {
  daemon(daemon: DaemonClient): Promise<PackChange>;
  engine(engine: Engine, signal: AbortSignal): Promise<PackChange>;
}

async function change(run: Run, context: Context, what: string, work: Work): Promise<number> {
  const daemon = await daemonOf(run, context);
  if (daemon) return tell(run, what, await work.daemon(daemon));
  const settings = await run.settingsForEngine(context);
  return interruptible(run, async (signal) => {
    const engine = await context.startEngine(settings, { events: noEvents, logger: run.logger, signal });
    try {
      return tell(run, what, await work.engine(engine, signal));
    } finally {
      await engine.close();
    }
  });
}

function tell(run: Run, what: string, done: PackChange): number {
  const { vendor, id, active, before } = done;
  if (run.json) run.printJson(done);
  else {
    const same = before?.digest === active.digest;
    const instead = before ? ` instead of ${before.version}` : '';
    run.print(`${vendor}/${id} ${active.version} is ${what}${same ? ' already' : instead}`);
  }
  return EXIT.ok;
}

/** What is refused is named; the errors speak of "it". */
export async function naming<Result>(run: Run, work: (path: string) => Promise<Result>): Promise<Result> {
  const path = resolve(run.args[0] ?? '');
  try {
    return await work(path);
  } catch (error) {
    if (!(error instanceof PackError || error instanceof DaemonError) || error.message.includes(path))
      throw error;
    const options = error.cause === undefined ? {} : { cause: error.cause };
    const message = `${path} is refused: ${error.message}`;
    throw error instanceof PackError
      ? new PackError(error.code, message, options)
      : new DaemonError(error.code, message, options);
  }
}

/** The daemon is sent an archive; of a directory one is made. */
async function withArchive<Result>(path: string, use: (archive: string) => Promise<Result>): Promise<Result> {
  const facts = await stat(path).catch(() => undefined);
  if (!facts?.isDirectory()) return use(path);
  const place = await mkdtemp(join(tmpdir(), 'lazaret-pack-'));
  try {
    const archive = join(place, 'pack.tar.zst');
    await writeFile(archive, await packArchive(await readContent(path)), { mode: 0o600 });
    return await use(archive);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
