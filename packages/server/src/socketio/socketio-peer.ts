/** A socket of Socket.IO as a peer of the chat node. */
import type { Peer } from '../connections/peer.ts';
import type { ChatSocket } from './chat-socket.ts';
import type { SocketIoTransport } from './socketio-transport.ts';

/** It has no state beside the socket and the transport, because each connection has one of these. */
export class SocketIoPeer implements Peer {
  readonly transport: SocketIoTransport;
  readonly #socket: ChatSocket;

  constructor(transport: SocketIoTransport, socket: ChatSocket) {
    this.transport = transport;
    this.#socket = socket;
  }

  get isConnected(): boolean {
    return this.#socket.connected;
  }

  emit(event: string, ...args: unknown[]): void {
    this.#socket.emit(event, ...args);
  }

  join(channel: string): void {
    void this.#socket.join(channel);
  }

  leave(channel: string): void {
    void this.#socket.leave(channel);
  }

  get isOverSoftLimit(): boolean {
    return this.transport.isOverSoftLimit(this.#socket);
  }

  waitForDrain(): Promise<void> {
    return this.transport.waitForDrain(this.#socket);
  }

  waitUntilRead(bytes: number): Promise<void> | undefined {
    return this.transport.waitUntilRead(this.#socket, bytes);
  }

  disconnectAfterDrain(): void {
    this.transport.disconnectAfterDrain(this.#socket);
  }

  disconnect(): void {
    this.#socket.conn.close(true);
  }
}
