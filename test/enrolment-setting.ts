/** A state directory with its gate and its desk, and agents that log in, for tests of enrolment. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Domain } from '../core/channel/session.ts';
import { ActionExecutor } from '../core/control/execute.ts';
import { Vault } from '../core/control/vault.ts';
import type { EnrolmentMode } from '../core/enrolment/decide.ts';
import { EnrolmentDesk } from '../core/enrolment/desk.ts';
import { EnrolmentGate } from '../core/enrolment/gate.ts';
import { LiveKeys } from '../core/enrolment/live-keys.ts';
import { ActionJournal } from '../core/store/action-journal.ts';
import { StateDatabase } from '../core/store/database.ts';
import { EnrolmentStore } from '../core/store/enrolments.ts';
import { VaultIndex } from '../core/store/vault-index.ts';
import { VmStore } from '../core/store/vms.ts';
import { enrolmentKey, enrolmentProof, type LoginRequest } from '../protocol/index.ts';

export const HOST_KEY = createHash('sha256').update('host').digest('hex');

export const domainOf = (name: string): Domain => ({
  id: `id-of-${name}`,
  name,
  socket: `/run/${name}.sock`,
});

export class TestGuest {
  agentKey = createHash('sha256').update(randomUUID()).digest('hex');
  login: LoginRequest = {
    type: 'login',
    protocol: [1],
    agent: { id: randomUUID(), version: '0.1.0' },
    bootId: randomUUID(),
  };

  get parties() {
    return { agentKey: this.agentKey, hostKey: HOST_KEY };
  }

  /** Its login request, with proofs that it has these tokens. */
  having(...tokens: readonly string[]): LoginRequest {
    const proofs = tokens.map((token) => enrolmentProof(enrolmentKey(token), this.parties));
    return { ...this.login, enrolment: { proofs } };
  }
}

export class EnrolmentSetting implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'lazaret-enrol-'));
  now = 1_700_000_000_000;
  readonly lines: string[] = [];
  private database = StateDatabase.open(this.directory);

  /** Closes the state directory and opens it again, as after a crash. */
  restart(): void {
    this.database.close();
    this.database = StateDatabase.open(this.directory);
  }

  /** Lets somebody else work on the state directory meanwhile. */
  async apart(work: () => Promise<void>): Promise<void> {
    this.database.close();
    try {
      await work();
    } finally {
      this.database = StateDatabase.open(this.directory);
    }
  }

  private get parts() {
    const log = (line: string) => void this.lines.push(line);
    return {
      vms: this.vms,
      enrolments: this.enrolments,
      clock: () => this.now,
      logger: { info: log, warn: log },
    };
  }

  get vms() {
    return new VmStore(this.database);
  }

  get enrolments() {
    return new EnrolmentStore(this.database);
  }

  get journal() {
    return new ActionJournal(this.database);
  }

  get executor() {
    const vault = new Vault(this.directory, new VaultIndex(this.database));
    return new ActionExecutor({ journal: this.journal, vault });
  }

  get desk() {
    return new EnrolmentDesk(this.parts);
  }

  gate(mode: EnrolmentMode) {
    return new EnrolmentGate({ ...this.parts, mode });
  }

  liveKeys() {
    return new LiveKeys(this.parts);
  }

  /** What the audit log has of enrolment: `EVENT VM`, oldest first. */
  audited(): string[] {
    return this.database.all('SELECT entry FROM audit ORDER BY sequence').map(({ entry }) => {
      const [kind, { id, event }] = JSON.parse(String(entry));
      return `${kind === 'enrolment' ? event : kind} ${id}`;
    });
  }

  [Symbol.dispose](): void {
    this.database.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
