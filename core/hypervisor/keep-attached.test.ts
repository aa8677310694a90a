import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeptLog } from '../../test/domain-changes.ts';
import { HypervisorError } from './error.ts';
import { KeptAttached } from './keep-attached.ts';
import type { ChannelPorts, DomainChange, HostDomain, HypervisorPort, PortChange } from './port.ts';

const guest = (name: string, more: Partial<HostDomain> = {}): HostDomain => ({
  id: name,
  name,
  state: 'running',
  port: 'absent',
  generation: 1,
  persistent: true,
  metadata: [],
  ...more,
});
const DONE: PortChange = { live: true, persistent: true, needsRestart: false };

class Host implements HypervisorPort, ChannelPorts {
  readonly status = { state: 'connected', since: new Date() } as const;
  readonly asked: string[] = [];
  domains: HostDomain[] = [];
  answer: () => Promise<PortChange> = async () => DONE;
  private listener: (change: DomainChange) => void = () => undefined;

  listDomains = async () => this.domains;
  close = async () => undefined;
  detach = async () => DONE;

  watch(listener: (change: DomainChange) => void): Disposable {
    this.listener = listener;
    return {
      [Symbol.dispose]: () => {
        this.listener = () => undefined;
      },
    };
  }

  attach(id: string): Promise<PortChange> {
    this.asked.push(id);
    return this.answer();
  }

  tell(kind: DomainChange['kind'], domain: HostDomain): void {
    this.listener({ kind, domain, at: new Date() });
  }
}

describe('wanted guests', () => {
  let host: Host;
  let log: KeptLog;
  let kept: KeptAttached;

  beforeEach(() => {
    host = new Host();
    log = new KeptLog();
  });
  afterEach(() => kept[Symbol.asyncDispose]());

  function keep(isWanted = (_domain: HostDomain): boolean => true): KeptAttached {
    kept = new KeptAttached({ port: host, channels: host, logger: log, isWanted });
    return kept;
  }

  it('get the channel: those that there are, and those that come', async () => {
    host.domains = [guest('a'), guest('b', { port: 'disconnected' })];
    await keep().all();
    host.tell('defined', guest('c', { state: 'off' }));
    host.tell('started', guest('d', { port: 'connected' }));
    expect(host.asked).toEqual(['a', 'c']);
    expect(log.matching(/^a has been given/)).toHaveLength(1);
  });

  it('are the only ones that get it', async () => {
    host.domains = [guest('a'), guest('b')];
    await keep(({ name }) => name === 'b').all();
    expect(host.asked).toEqual(['b']);
  });

  it('do not get it where a port of its name is another’s', async () => {
    host.domains = [guest('a', { fault: new HypervisorError('port-in-use', 'taken') })];
    await keep().all();
    expect(host.asked).toEqual([]);
  });

  it('are asked for once at a time', async () => {
    const { promise, resolve } = Promise.withResolvers<PortChange>();
    host.answer = () => promise;
    keep();
    host.tell('defined', guest('a'));
    host.tell('started', guest('a'));
    resolve(DONE);
    await kept[Symbol.asyncDispose]();
    host.tell('started', guest('a'));
    expect(host.asked).toEqual(['a']);
  });

  it('are tried again when it failed, which is said once', async () => {
    host.domains = [guest('a')];
    host.answer = async () => {
      throw new HypervisorError('refused', 'a: no');
    };
    await keep().all();
    await kept.all();
    expect(host.asked).toEqual(['a', 'a']);
    expect(log.matching(/a: no/)).toHaveLength(1);
    host.answer = async () => DONE;
    await kept.all();
    expect(log.matching(/has been given/)).toHaveLength(1);
  });

  it('are said once to need a restart', async () => {
    host.domains = [guest('a')];
    host.answer = async () => ({ live: false, persistent: false, needsRestart: true });
    await keep().all();
    await kept.all();
    expect(log.matching(/after its next start/)).toHaveLength(1);
  });
});
