/**
 * A virtio port as a host meets it: the agent's end stays as it is while hosts come and go, and bytes that one
 * host left behind reach whoever comes next. Can cut the connection after any number of bytes.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'toHost' | 'toAgent';

export class Port implements AsyncDisposable {
  /** Bytes that passed in each direction on the last connection of a host. */
  readonly passed: Record<Direction, number> = { toHost: 0, toAgent: 0 };
  private readonly agent: Socket;
  private readonly server: Server;
  private host: Socket | undefined;
  private ring: Buffer[] = [];
  private cut: { direction: Direction; after: number } | undefined;

  private constructor(agentPath: string) {
    this.agent = connect(agentPath);
    this.agent.on('data', (bytes: Buffer) => this.pass('toHost', bytes));
    this.server = createServer((socket) => this.attach(socket));
  }

  static async start(path: string, agentPath: string): Promise<Port> {
    const port = new Port(agentPath);
    await new Promise<void>((resolve) => port.server.listen(path, resolve));
    return port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.destroy();
    this.host?.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** The next host loses its connection when so many bytes have passed. */
  cutNext(direction: Direction, after: number): void {
    this.cut = { direction, after };
  }

  /** Takes back a cut that did not come to pass. */
  heal(): void {
    this.cut = undefined;
  }

  private attach(host: Socket): void {
    this.host = host;
    this.passed.toHost = 0;
    this.passed.toAgent = 0;
    host.on('error', () => host.destroy());
    host.on('close', () => {
      if (this.host === host) this.host = undefined;
    });
    host.on('data', (bytes: Buffer) => {
      if (this.host === host) this.pass('toAgent', bytes);
    });
    for (const bytes of this.ring.splice(0)) this.pass('toHost', bytes);
  }

  private pass(direction: Direction, bytes: Buffer): void {
    const limit = this.cut?.direction === direction ? this.cut.after - this.passed[direction] : bytes.length;
    const now = bytes.subarray(0, limit);
    this.passed[direction] += now.length;
    if (direction === 'toAgent') this.agent.write(now);
    else if (this.host) this.host.write(now);
    else this.ring.push(bytes);
    if (limit >= bytes.length) return;
    this.cut = undefined;
    if (direction === 'toHost') this.ring.push(bytes.subarray(limit));
    this.host?.end();
    this.host = undefined;
  }
}
