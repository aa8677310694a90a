import { beforeEach, describe, expect, it } from 'vitest';
import { finding, vm } from '../../test/records.ts';
import { check, LiveSettings } from '../config/index.ts';
import { HypervisorError } from '../hypervisor/error.ts';
import type { FindingRecord } from '../store/records.ts';
import { ActiveThreats } from './active-threats.ts';
import { OperationError } from './error.ts';
import type { GuestControl, GuestSource } from './guests.ts';
import type { JobState } from './scan-job.ts';
import { MemoryHypervisor } from './testing/guests.ts';
import { memoryLogger } from './testing/requests.ts';
import type { VmActionOrder } from './vm-actions.ts';

const running = (response: FindingRecord['response']): FindingRecord => ({
  ...finding(),
  subject: { kind: 'process', pid: 7, executable: '/tmp/implant' } as FindingRecord['subject'],
  response,
});
/** As the store has it; its own test holds it to that. */
const isRunning = ({ subject, response }: FindingRecord): boolean =>
  subject.kind === 'process' && ['reported', 'failed', 'unknown'].includes(response);
const web = { id: vm().id, name: 'web-1' };
/** A scan that found this. */
const found = (one: FindingRecord, state: JobState = 'finished', dryRun = false) => {
  findings = [one];
  const order = { vm: web, trigger: 'manual', mode: 'contain', dryRun, fresh: false, roots: [] } as const;
  return { id: 'scan-1', state, order };
};

let log: ReturnType<typeof memoryLogger>;
let paused: string[];
let orders: VmActionOrder[];
let findings: FindingRecord[];
let source: GuestSource;
let pause: GuestControl['pause'];
beforeEach(() => {
  log = memoryLogger();
  paused = [];
  orders = [];
  pause = async (id) => void paused.push(id);
  const control = { pause: (id: string) => pause(id) } as unknown as GuestControl;
  source = { port: new MemoryHypervisor(), isSelected: () => true, control };
});

const threats = async (onActiveThreat = 'pause', sourceOf = () => source): Promise<ActiveThreats> => {
  const settings = await check([{ file: 'a.yaml', text: JSON.stringify({ policy: { onActiveThreat } }) }]);
  const guests = () => ({ sourceOf });
  return new ActiveThreats({
    ...{ settings: new LiveSettings(settings), guests, logger: log.logger },
    vmActions: {
      perform: async (order, control) => {
        orders.push(order);
        await control.pause(order.vm.id);
      },
    },
    records: { findings: { hasRunning: (scan) => scan === 'scan-1' && findings.some(isRunning) } },
  });
};

describe('malware that runs', () => {
  it.each(['reported', 'failed', 'unknown'] as const)(
    'and was only %s has its VM paused',
    async (response) => {
      await (await threats()).answer(found(running(response)));
      expect(paused).toEqual([web.id]);
      const requester = { kind: 'policy', rule: 'onActiveThreat: pause', scan: 'scan-1' };
      expect(orders).toEqual([{ vm: web, action: 'pause', requester }]);
      expect(log.lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('is paused') }]);
    },
  );

  it('has it paused as well when the guest broke the scan off', async () => {
    await (await threats()).answer(found(running('reported'), 'failed'));
    expect(paused).toEqual([web.id]);
  });

  it('and was stopped has not, nor has a file, a dry run, one that was cancelled, nor where policy says nothing of it', async () => {
    const pausing = await threats();
    await pausing.answer(found(running('stopped')));
    await pausing.answer(found(finding()));
    await pausing.answer({ ...found(running('failed')), id: 'another' });
    await pausing.answer(found(running('failed'), 'finished', true));
    await pausing.answer(found(running('reported'), 'cancelled'));
    await (await threats('none')).answer(found(running('failed')));
    expect({ paused, lines: log.lines }).toEqual({ paused: [], lines: [] });
  });

  it('in a VM that cannot be paused is said, with why', async () => {
    pause = () => Promise.reject(new HypervisorError('hypervisor-timeout', 'it does not answer'));
    await (await threats()).answer(found(running('failed')));
    const { control: _, ...bare } = source;
    source = bare;
    await (await threats()).answer(found(running('failed')));
    const gone = () => {
      throw new OperationError('unknown-vm', 'it went away');
    };
    await (await threats('pause', gone)).answer(found(running('failed')));
    expect(log.lines.map(({ level, facts }) => [level, facts.code])).toEqual([
      ['warn', 'hypervisor-timeout'],
      ['warn', undefined],
      ['warn', 'unknown-vm'],
    ]);
  });
});
