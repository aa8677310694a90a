import { once } from 'node:events';
import type { Command } from 'commander';
import { loadSettings } from '../config/index.ts';
import { describeError } from '../error.ts';
import type { Daemon, DaemonStart, LoadedConfiguration } from '../service/daemon.ts';
import type { ServiceLog } from '../service/log.ts';
import type { Notifier } from '../service/notify.ts';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';

/** What systemctl status shows. */
const WORKING = 'looks after its guests';
const REFUSED = 'the configuration was refused: the one before holds (see the log)';

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
  const stop = new AbortController();
  const start: DaemonStart = {
    ...{ settings, logger, load, startEngine: context.startHost, signal: stop.signal },
    onReload: ({ log: { level } }) => {
      logger.level = level;
    },
  };
  // From now on: unheard, one that comes while the service starts or stops would end it at once.
  const hangups = new Hangups(run);
  const noMoreInterrupts = run.io.onInterrupt(() => {
    if (stop.signal.aborted) run.io.abort(EXIT.killed);
    logger.info('the service stops; once more ends it at once');
    stop.abort();
  });
  try {
    await using running = await daemon.start(start);
    await untilStopped(running, hangups, { logger, notifier: service, signal: stop.signal });
    return EXIT.ok;
  } catch (error) {
    // What was asked to stop while it started has done as it was told.
    if (stop.signal.aborted && error === stop.signal.reason) return EXIT.ok;
    throw error;
  } finally {
    noMoreInterrupts();
    hangups[Symbol.dispose]();
  }
}

/** Those that come while nobody answers them are one that is answered then. */
class Hangups implements Disposable {
  private readonly ignore: () => void;
  private answer: (() => void) | undefined;
  private isDue = false;

  constructor({ io }: Run) {
    this.ignore = io.onHangup(() => {
      if (this.answer) this.answer();
      else this.isDue = true;
    });
  }

  answerWith(answer: (() => void) | undefined): void {
    this.answer = answer;
    if (this.isDue) answer?.();
    this.isDue = false;
  }

  [Symbol.dispose](): void {
    this.ignore();
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

async function untilStopped(daemon: Daemon, hangups: Hangups, watched: Watched): Promise<void> {
  const { logger, notifier, signal } = watched;
  using _watchdog = notifier.watch(
    () => !signal.aborted,
    (error) => cannotTell(logger, error),
  );
  hangups.answerWith(() => void reload(daemon, watched));
  tell(logger, () => notifier.ready(WORKING));
  logger.info('the service is ready');
  if (!signal.aborted) await once(signal, 'abort');
  hangups.answerWith(undefined);
  tell(logger, () => notifier.stopping());
}

/** One that is refused is told with every line of its error; the old configuration stays. Does not reject. */
async function reload(daemon: Daemon, { logger, notifier, signal }: Watched): Promise<void> {
  tell(logger, () => notifier.reloading());
  const status = await daemon.reload().then(
    () => WORKING,
    (error: unknown) => {
      const { code, message } = describeError(error);
      for (const line of message.split('\n')) logger.warn(`the configuration is refused: ${line}`, { code });
      return REFUSED;
    },
  );
  // Once it has been told that the service stops, it is not ready any more.
  if (!signal.aborted) tell(logger, () => notifier.ready(status));
}

/** The service goes on where systemd cannot be told. */
function tell(logger: ServiceLog, work: () => void): void {
  try {
    work();
  } catch (error) {
    cannotTell(logger, error);
  }
}

function cannotTell(logger: ServiceLog, error: unknown): void {
  const { code, message } = describeError(error);
  logger.warn(message, { code });
}
