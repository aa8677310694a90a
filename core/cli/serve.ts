import { once } from 'node:events';
import type { Command } from 'commander';
import { loadSettings } from '../config/index.ts';
import { describeError } from '../error.ts';
import type { Daemon, DaemonStart, LoadedConfiguration } from '../service/daemon.ts';
import type { ServiceLog } from '../service/log.ts';
import type { Notifier } from '../service/notify.ts';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';

export function registerServe(program: Command, context: Context): void {
  program
    .command('serve')
    .summary('look after the VMs of this host, until told to stop')
    .description(
      'Looks after the VMs of this host: connects to each, scans when it is due, acts as policy allows, and is asked\n' +
        'through its API. SIGHUP takes the configuration up anew; SIGTERM and SIGINT stop it.',
    )
    .action(perform(context, (run) => serve(run, context)));
}

async function serve(run: Run, context: Context): Promise<number> {
  // What only the service needs is not loaded for everybody else.
  const [{ Daemon: daemon }, { ServiceLog: log }, { Notifier: notifier }] = await Promise.all([
    import('../service/daemon.ts'),
    import('../service/log.ts'),
    import('../service/notify.ts'),
  ]);
  const load = () => loadConfiguration(run, context);
  const { settings, files } = await load();
  const logger = new log({ level: settings.log.level });
  const service = new notifier();
  logger.info('the service starts', { files });
  const start: DaemonStart = {
    ...{ settings, logger, load, startEngine: context.startHost },
    onReload: ({ log: { level } }) => {
      logger.level = level;
    },
  };
  const stop = new AbortController();
  const noMoreInterrupts = run.io.onInterrupt(() => {
    if (stop.signal.aborted) run.io.abort(EXIT.killed);
    logger.info('the service stops; once more ends it at once');
    stop.abort();
  });
  try {
    await using running = await daemon.start(start);
    await untilStopped(run, running, { logger, notifier: service, signal: stop.signal });
    return EXIT.ok;
  } finally {
    noMoreInterrupts();
  }
}

async function loadConfiguration(run: Run, context: Context): Promise<LoadedConfiguration> {
  const { settings, files } = await loadSettings({ file: run.options.config }, (named) =>
    context.plugins(named),
  );
  return { settings: run.withState(settings), files };
}

interface Watched {
  readonly logger: ServiceLog;
  readonly notifier: Notifier;
  /** Aborted when the service is to stop. */
  readonly signal: AbortSignal;
}

async function untilStopped(run: Run, daemon: Daemon, { logger, notifier, signal }: Watched): Promise<void> {
  const ignoreHangups = run.io.onHangup(() => void reload(daemon, logger, notifier));
  const tellOfFault = (error: unknown): void => logger.warn(`systemd cannot be told: ${String(error)}`);
  using _watchdog = notifier.watch(() => !signal.aborted, tellOfFault);
  notifier.ready('looks after its guests');
  logger.info('the service is ready');
  if (!signal.aborted) await once(signal, 'abort');
  ignoreHangups();
  notifier.stopping();
}

/** One that is refused is told with every line of its error; the old configuration stays. */
async function reload(daemon: Daemon, logger: ServiceLog, notifier: Notifier): Promise<void> {
  notifier.reloading();
  try {
    await daemon.reload();
    notifier.ready('looks after its guests');
  } catch (error) {
    const { code, message } = describeError(error);
    for (const line of message.split('\n')) logger.warn(`the configuration is refused: ${line}`, { code });
    notifier.ready('the configuration was refused: the one before holds (see the log)');
  }
}
