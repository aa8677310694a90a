/** A relay between host and agent that can lose the agent's answers, as a channel does that breaks. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Relay implements AsyncDisposable {
  /** While true, nothing that the agent says reaches the host; the host's words still reach the agent. */
  losesAnswers = false;
  private readonly agent: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(agent: string) {
    this.agent = agent;
    this.server = createServer((host) => this.join(host));
  }

  static async start(path: string, agent: string): Promise<Relay> {
    const relay = new Relay(agent);
    relay.server.listen(path);
    await once(relay.server, 'listening');
    return relay;
  }

  /** Ends what is connected; a new connection goes through again. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
    this.losesAnswers = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(host: Socket): void {
    const agent = connect(this.agent);
    for (const [one, other] of [
      [host, agent],
      [agent, host],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    host.on('data', (bytes) => agent.write(bytes));
    agent.on('data', (bytes) => {
      if (!this.losesAnswers) host.write(bytes);
    });
  }
}
