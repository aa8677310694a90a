/** Temporary directories and an agent that serves one, for tests. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, statSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileTarget, InstructionName } from '../../protocol/index.ts';
import { type Agent, type AgentOptions, startAgent } from '../agent.ts';
import { makeDirectory, openDirectory } from '../linux/calls.ts';
import { serve } from '../serve.ts';
import { listenOn } from '../transport/listen.ts';
import { type Certificate, makeCertificate, TestHost } from './host.ts';

export const sha256 = (content: Uint8Array | string): string =>
  createHash('sha256').update(content).digest('hex');

/** A directory that is removed at the end of the scope (`using`). */
export class TempDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'lazaret-agent-test-'));

  [Symbol.dispose](): void {
    // rm goes down by descriptors: a tree can be deeper than any path is long.
    execFileSync('rm', ['-rf', this.path]);
  }
}

/** Makes directories of one name within each other. */
export function makeDeep(path: string, name: string, depth: number): void {
  let directory = openSync(path, 'r');
  for (let level = 0; level < depth; level++) {
    makeDirectory(directory, Buffer.from(name), 0o700);
    const below = openDirectory(directory, Buffer.from(name));
    closeSync(directory);
    directory = below;
  }
  closeSync(directory);
}

export function fileTarget(root: string, path: string, content: Uint8Array | string): FileTarget {
  const { dev, ino } = statSync(join(root, path), { bigint: true });
  return { path, dev: String(dev), ino: String(ino), sha256: sha256(content) };
}

/** Of the host that the agents of one test file come to obey. */
const hostCertificate = makeCertificate();

/** An agent in this process that serves a temporary directory on a unix socket. */
export class TestAgent {
  readonly agent: Agent;
  readonly root: string;
  readonly socket: string;
  readonly lines: string[];
  private readonly directory: TempDirectory;
  private readonly server: Server;
  private readonly hosts: TestHost[] = [];
  private readonly sockets: Set<Socket>;

  private constructor(
    directory: TempDirectory,
    agent: Agent,
    server: Server,
    sockets: Set<Socket>,
    lines: string[],
  ) {
    this.directory = directory;
    this.agent = agent;
    this.root = agent.root.path;
    this.socket = join(directory.path, 'agent.sock');
    this.server = server;
    this.sockets = sockets;
    this.lines = lines;
  }

  static async start(options: Partial<AgentOptions> = {}): Promise<TestAgent> {
    const directory = new TempDirectory();
    const root = join(directory.path, 'root');
    const lines: string[] = [];
    mkdirSync(root);
    const log = (line: string): void => void lines.push(line);
    const state = join(directory.path, 'state');
    const agent = await startAgent({ root, state, denied: new Set(), ownFiles: [], log, ...options });
    const sockets = new Set<Socket>();
    const server = await listenOn(join(directory.path, 'agent.sock'), (socket) => {
      sockets.add(socket);
      socket.on('error', (error) => log(String(error)));
      serve(socket, agent);
    });
    return new TestAgent(directory, agent, server, sockets, lines);
  }

  async connect(certificate?: Certificate): Promise<TestHost> {
    const host = await TestHost.connect(this.socket, certificate ?? (await hostCertificate));
    this.hosts.push(host);
    return host;
  }

  /** A host that has logged in, with these instructions granted. */
  async session(...instructions: InstructionName[]): Promise<TestHost> {
    const host = await this.connect();
    await host.login();
    await host.grant(...instructions);
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.hosts) host.destroy();
    for (const socket of this.sockets) socket.destroy();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.server.close(() => resolve());
    await promise;
    this.agent.readers.end(true);
    this.agent.hands.end();
    this.directory[Symbol.dispose]();
  }
}
