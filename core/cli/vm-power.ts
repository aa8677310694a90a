/** `lazaret vm start` and the other verbs that change a VM: the daemon has the hypervisor. */
import type { Command } from 'commander';
import type { DaemonClient } from '../service/client.ts';
import { POWER_VERBS, type PowerVerb } from '../service/operations.ts';
import type { VmView } from '../service/views.ts';
import { asked, daemonOf } from './daemon.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';
import { harmless } from './text.ts';

const DOES: Readonly<Record<PowerVerb, string>> = {
  start: 'starts a VM',
  stop: 'asks the guest of a VM to shut down',
  destroy: 'ends a VM at once, as if its power were cut',
  pause: 'suspends a VM in memory',
  resume: 'lets a paused VM go on',
  attach: 'gives a VM the channel, now and for later starts',
  detach: 'takes the channel of a VM away again',
};

const DONE: Readonly<Record<PowerVerb, string>> = {
  start: 'started',
  stop: 'asked to shut down',
  destroy: 'ended',
  pause: 'paused',
  resume: 'resumed',
  attach: 'has the channel',
  detach: 'has no channel any more',
};

export function registerVmPower(vm: Command, context: Context): void {
  for (const verb of POWER_VERBS) {
    vm.command(verb)
      .description(DOES[verb])
      .argument('<vm>', 'its name or id')
      .action(
        perform(context, (run) =>
          change(run, context, DONE[verb], (daemon, name) => daemon.power(name, verb)),
        ),
      );
  }
  const snapshots = {
    snapshot: { does: 'takes a snapshot of a VM', done: 'has a snapshot' },
    revert: {
      does: 'puts a VM back to a snapshot; what came after it is lost',
      done: 'is back at the snapshot',
    },
  } as const;
  for (const [verb, { does, done }] of Object.entries(snapshots)) {
    vm.command(verb)
      .description(does)
      .argument('<vm>', 'its name or id')
      .argument('<name>', 'of the snapshot')
      .action(
        perform(context, (run) =>
          change(run, context, `${done} ${harmless(run.args[1] ?? '')}`, (daemon, name, snapshot) =>
            verb === 'revert' ? daemon.revert(name, snapshot) : daemon.snapshot(name, snapshot),
          ),
        ),
      );
  }
}

async function change(
  run: Run,
  context: Context,
  done: string,
  work: (daemon: DaemonClient, vm: string, snapshot: string) => Promise<VmView>,
): Promise<number> {
  const daemon = await daemonOf(run, context);
  if (!daemon) {
    throw new UsageError(
      'only a running daemon has the hypervisor: start it with lazaret serve, and leave --state out',
    );
  }
  const [name = '', snapshot = ''] = run.args;
  const vm = await asked(work(daemon, name, snapshot));
  if (run.json) run.printJson(vm);
  else run.print(`${harmless(vm.name)} ${done}`);
  return EXIT.ok;
}
