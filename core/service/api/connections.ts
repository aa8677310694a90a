/**
 * Who may be connected. A connection costs a descriptor, and whoever reaches the socket can open any number without
 * saying who they are. So there is a bound in all and one for each address, and when a bound is met it is not the one
 * that comes who is turned away, but the one that waits longest and of whom nothing is known: an attacker's connections
 * make way for each other and for clients, and a client that is being answered keeps its own.
 *
 * Sockets are destroyed, never only ended: an end waits for a peer that may never answer it.
 */
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface ConnectionLimits {
  /** Open at once. */
  readonly connections: number;
  /** Of them, from one address. A unix socket's peers have none: there the first bound alone counts. */
  readonly connectionsFromOne: number;
}

interface Connection {
  readonly socket: Socket;
  readonly address: string | undefined;
  /** Somebody who is known has asked here. */
  known: boolean;
  /** Requests of somebody who is known that are not answered yet. */
  busy: number;
}

export class Connections {
  private readonly limits: ConnectionLimits;
  /** In the order of their last use: the first is the one that waits longest. */
  private readonly open = new Map<string, Connection>();
  private serial = 0;
  /** How a request's socket finds its connection; under TLS it is another object than the one that was accepted. */
  private readonly keys = new WeakMap<Socket, string>();

  constructor(limits: ConnectionLimits) {
    this.limits = limits;
  }

  get count(): number {
    return this.open.size;
  }

  /** To be called before the server listens. */
  watch(server: HttpServer): void {
    server.on('connection', (socket: Socket) => this.accept(socket));
    // Whoever does not finish the handshake never gets here, and stays unknown.
    server.on('secureConnection', (socket: TLSSocket) => {
      const key = addressAndPort(socket);
      if (key !== undefined && this.open.has(key)) this.keys.set(socket, key);
    });
  }

  /** Whether an answer can be sent on it: under TLS, whether its handshake is done. */
  talksHttp(socket: Socket): boolean {
    return this.keys.has(socket);
  }

  /** Somebody who is known asks on this socket; what is returned is called when they have been answered. */
  asked(socket: Socket): () => void {
    const key = this.keys.get(socket);
    const connection = key === undefined ? undefined : this.open.get(key);
    if (key === undefined || !connection) return () => undefined;
    connection.known = true;
    connection.busy += 1;
    return () => {
      connection.busy -= 1;
      // Used last: it waits from now on.
      if (this.open.delete(key)) this.open.set(key, connection);
    };
  }

  private accept(socket: Socket): void {
    const address = socket.remoteAddress;
    const key = addressAndPort(socket) ?? `unix ${this.serial++}`;
    if (!this.makeRoom(address)) {
      socket.destroy();
      return;
    }
    const connection = { socket, address, known: false, busy: 0 };
    this.open.set(key, connection);
    this.keys.set(socket, key);
    socket.once('close', () => {
      if (this.open.get(key) === connection) this.open.delete(key);
    });
  }

  /** False when all of those that would have to make way are being answered. */
  private makeRoom(address: string | undefined): boolean {
    const { connections, connectionsFromOne } = this.limits;
    const ofOne = () => [...this.open.values()].filter((one) => one.address === address);
    if (address !== undefined && ofOne().length >= connectionsFromOne && !this.reclaim(ofOne())) return false;
    return this.open.size < connections || this.reclaim([...this.open.values()]);
  }

  /** The first that is unknown, else the first that is not being answered. */
  private reclaim(candidates: readonly Connection[]): boolean {
    const idle = candidates.filter(({ busy }) => busy === 0);
    const victim = idle.find(({ known }) => !known) ?? idle[0];
    if (!victim) return false;
    for (const [key, one] of this.open) if (one === victim) this.open.delete(key);
    victim.socket.destroy();
    return true;
  }
}

const addressAndPort = ({ remoteAddress, remotePort }: Socket): string | undefined =>
  remoteAddress === undefined || remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`;
