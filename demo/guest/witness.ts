/**
 * The host's side of the guest's second serial port, where `rootfs/sbin/witness` answers: a look into the
 * guest that does not go through the agent.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface WitnessAnswer {
  readonly status: number;
  readonly output: Buffer;
}

export class Witness {
  private readonly socket: Socket;
  private readonly lines: AsyncIterator<string>;
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(socket: Socket) {
    this.socket = socket;
    this.lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async connect(path: string): Promise<Witness> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new Witness(socket);
  }

  /** Resolves when the guest has started its witness: after each boot. */
  async ready(): Promise<void> {
    while ((await this.nextLine()) !== 'ready');
  }

  /** One command after the other, whoever asks. */
  ask(command: string, path = ''): Promise<WitnessAnswer> {
    const answer = this.turn.then(() => this.exchange(`${command} ${path}`));
    this.turn = answer.catch(() => undefined);
    return answer;
  }

  /** Says something that has no answer, since the guest goes down. */
  tell(command: string): void {
    this.socket.write(`${command}\n`);
  }

  close(): void {
    this.socket.destroy();
  }

  private async exchange(request: string): Promise<WitnessAnswer> {
    this.socket.write(`${request}\n`);
    let encoded = '';
    for (;;) {
      const line = await this.nextLine();
      if (line.startsWith('= '))
        return { status: Number(line.slice(2)), output: Buffer.from(encoded, 'base64') };
      encoded += line;
    }
  }

  private async nextLine(): Promise<string> {
    const { done, value } = await this.lines.next();
    if (done) throw new Error('the guest went away while it was asked something');
    return value.trim();
  }
}
