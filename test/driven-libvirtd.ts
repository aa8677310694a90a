/** A libvirtd and a driver on it, for each test of a suite: the libvirtd is the suite's, its guests are the test's. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { LibvirtDriver, type LibvirtOptions } from '../core/hypervisor/libvirt/driver.ts';
import type { HostDomain } from '../core/hypervisor/port.ts';
import { DomainChanges, KeptLog } from './domain-changes.ts';
import { TestLibvirtd } from './libvirtd.ts';

const PACE = { pollMs: 100, backoffMs: { first: 20, longest: 100 } };

export class DrivenLibvirtd {
  libvirtd!: TestLibvirtd;
  driver!: LibvirtDriver;
  changes!: DomainChanges;
  log!: KeptLog;

  /** To be called inside a `describe`. */
  static forEachTest(): DrivenLibvirtd {
    const host = new DrivenLibvirtd();
    beforeAll(async () => {
      host.libvirtd = await TestLibvirtd.start();
    });
    afterAll(() => host.libvirtd[Symbol.asyncDispose]());
    beforeEach(() => host.connect());
    afterEach(() => host.clear());
    return host;
  }

  /** Another driver, with other deadlines. */
  async reconnect(options: Partial<LibvirtOptions>): Promise<void> {
    await this.driver.close();
    await this.connect(options);
  }

  async named(name: string): Promise<HostDomain> {
    const found = (await this.driver.listDomains()).find((one) => one.name === name);
    if (found === undefined) throw new Error(`no domain ${name}`);
    return found;
  }

  private async connect(options: Partial<LibvirtOptions> = {}): Promise<void> {
    this.log = new KeptLog();
    this.driver = new LibvirtDriver({ uri: this.libvirtd.uri, logger: this.log, ...PACE, ...options });
    this.changes = new DomainChanges(this.driver);
    await this.driver.listDomains();
  }

  private async clear(): Promise<void> {
    await Promise.all((await this.driver.listDomains()).map((domain) => this.remove(domain)));
    await this.driver.close();
  }

  private async remove({ id, persistent }: HostDomain): Promise<void> {
    await this.driver.destroy(id);
    if (persistent) await this.driver.undefine(id);
  }
}
