/** The API in its thread, in front of a service in memory, over a real unix socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finding, vm as vmRecord } from '../../../test/records.ts';
import { StateDatabase } from '../../store/database.ts';
import { FindingStore } from '../../store/findings.ts';
import type { LeftOutRow } from '../../store/left-out.ts';
import { VmStore } from '../../store/vms.ts';
import { connectDaemon, type DaemonClient } from '../client.ts';
import { MemoryOperations } from '../testing/operations.ts';
import type { ScanView } from '../views.ts';
import { serveApi } from './serve-api.ts';

class Service extends MemoryOperations {
  readonly live: ScanView[] = [];

  async liveScans(): Promise<readonly ScanView[]> {
    return this.live;
  }
}

describe('the API in a thread', () => {
  let directory: string;
  let database: StateDatabase;
  let service: Service;
  let api: AsyncDisposable;
  let client: DaemonClient;
  let logged: string[];
  let leftOut: LeftOutRow[];

  const log = (message: string) => void logged.push(message);
  const start = (path = join(directory, 'api.sock')) =>
    serveApi({
      operations: service,
      data: { options: { unix: { path, mode: 0o600 } }, state: directory },
      logger: { debug: log, info: log, warn: log },
      onAnswer: () => undefined,
      onLeftOut: (row) => void leftOut.push(row),
    });

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lazaret-thread-'));
    database = StateDatabase.open(directory);
    service = new Service();
    logged = [];
    leftOut = [];
    service.onScan = (scan) => void service.live.unshift(scan);
    api = await start();
    const found = await connectDaemon(join(directory, 'api.sock'));
    if (!found) throw new Error('nobody answers');
    client = found;
  });

  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    database.close();
    rmSync(directory, { recursive: true });
  });

  it('tells what it could read, and the service of what it could not', async () => {
    const findings = new FindingStore(database);
    findings.upsert(finding());
    findings.upsert({ ...finding(), id: 'damaged' });
    database.run("UPDATE findings SET lastSeen = 9223372036854775807 WHERE id = 'damaged'");
    for (const limit of [1, 5])
      expect((await client.findings({ limit })).items.map(({ id }) => id)).toEqual([finding().id]);
    expect(leftOut).toMatchObject([{ table: 'findings', key: 'damaged' }]);
  });

  it('tells of the service, and reads the records by itself', async () => {
    expect((await client.vms()).map(({ name }) => name)).toEqual(['web-1', 'db-1']);
    new VmStore(database).save(vmRecord());
    new FindingStore(database).upsert(finding());
    expect((await client.findings({ limit: 10 })).items).toEqual([finding()]);
    expect((await client.findings({ vm: 'db-1', limit: 10 })).items).toEqual([]);
  });

  it('hands on what is to be done, and shows it at once', async () => {
    expect((await client.scans({ limit: 10 })).items).toEqual([]);
    const scan = await client.startScan({ vm: 'web-1' });
    expect((await client.scan(scan.id)).state).toBe('queued');
    expect((await client.scans({ limit: 10 })).items.map(({ id }) => id)).toEqual([scan.id]);
    expect(service.calls).toEqual(['scan {"vm":"web-1"}']);
  });

  it('follows a scan to its end', async () => {
    const scan = await client.startScan({ vm: 'web-1' });
    const types: string[] = [];
    for await (const event of client.followScan(scan.id, new AbortController().signal)) {
      types.push(event.type);
      if (event.type === 'progress') service.end(scan.id);
    }
    expect(types).toEqual(['progress', 'ended']);
    expect(service.followersOf(scan.id)).toBe(0);
  });

  it('answers with the code of what went wrong in the service', async () => {
    await expect(client.power('nobody', 'start')).rejects.toMatchObject({ code: 'unknown-vm' });
    await expect(client.vm('nobody')).rejects.toMatchObject({ code: 'unknown-vm' });
  });

  it('cannot be started where it may not listen, and says why', async () => {
    await expect(start(join(directory, 'no', 'api.sock'))).rejects.toMatchObject({ code: 'cannot-listen' });
  });
});
