// A Socket.IO client over WebSocket that can also send invalid packets.
import type { Ack, EventName, RequestInput, ResponsePayload } from '@engawa/protocol';
import { Connection } from './connection.ts';
import { type Deferred, deferred } from './deferred.ts';
import { OPCODE } from './frames.ts';

/** Address of the server. */
export interface Target {
  host: string;
  port: number;
}

export interface OpenOptions {
  /** Source address; any of 127.0.0.0/8. */
  localAddress?: string | undefined;
  /** Appended to the query of every client: `&sid=…`. */
  query?: string;
  /** Handshake headers besides the standard ones. */
  headers?: readonly string[];
  /** Called with the size of every write, in bytes. */
  onSend?: (bytes: number) => void;
  /** See `SocketIoClient.onEvent`. */
  onEvent?: (packet: string) => void;
}

/** What CONNECT carries: the session of a member, or a former connection and the last event that it received. */
export interface Auth {
  session?: string;
  pid?: string;
  offset?: string;
}

/** The server's response to CONNECT. */
export interface ConnectedPacket {
  sid: string;
  pid?: string;
}

export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
}

/** Engine.IO packet types, and after `4` (message) the Socket.IO packet types. */
const PING = '2';
const PROBE = '2probe';
const PROBE_ANSWER = '3p';
const UPGRADE = '5';
const CONNECT = '40';
const DISCONNECT = '41';
const EVENT = '42';
const ACK = '43';
const CONNECT_ERROR = '44';
const BRACKET = 0x5b;

export const targetOf = (url: string): Target => ({ host: new URL(url).hostname, port: Number(new URL(url).port) });

/** Connects to the server at a URL. */
export const connectTo = (url: string, options?: OpenOptions & { auth?: Auth }): Promise<SocketIoClient> =>
  SocketIoClient.connect(targetOf(url), options);

export class SocketIoClient {
  /** Resolves once, with the reason. */
  readonly closed: Promise<string>;
  /** Why it is closed; undefined while it is open. */
  closeReason: string | undefined;
  /** The server's name of this connection, for a client that recovers it. */
  pid: string | undefined;
  /** Called with every event packet, from `42` on. */
  onEvent: ((packet: string) => void) | undefined;
  /** Called with every acknowledgement that no `ask` waits for. */
  onAck: ((id: number, packet: string) => void) | undefined;
  readonly #connection: Connection;
  readonly #onSend: ((bytes: number) => void) | undefined;
  readonly #pending = new Map<number, (answer: unknown) => void>();
  readonly #opened = deferred<void>();
  readonly #probed = deferred<void>();
  #connected: Deferred<ConnectedPacket> | undefined;
  #lastId = 0;

  /** Resolves after the Engine.IO handshake. Rejects if the connection is refused or closed before. */
  static async open(target: Target, options: OpenOptions = {}): Promise<SocketIoClient> {
    const client = new SocketIoClient(target, options);
    await client.#opened.promise;
    return client;
  }

  /** Resolves when the WebSocket is open, before any handshake. For an upgrade, `query` has the sid of the polling session. */
  static async openTransport(target: Target, options: OpenOptions): Promise<SocketIoClient> {
    const client: SocketIoClient = new SocketIoClient(target, options, () => client.#opened.resolve());
    await client.#opened.promise;
    return client;
  }

  /** Upgrades a polling session. */
  static async upgrade(target: Target, options: OpenOptions): Promise<SocketIoClient> {
    const client = await SocketIoClient.openTransport(target, options);
    client.send(PROBE);
    await client.#probed.promise;
    client.send(UPGRADE);
    return client;
  }

  /** Opens a client and sends CONNECT. */
  static async connect(target: Target, options: OpenOptions & { auth?: object } = {}): Promise<SocketIoClient> {
    const client = await SocketIoClient.open(target, options);
    try {
      await client.connect(options.auth);
      return client;
    } catch (error) {
      client.end();
      throw error;
    }
  }

  private constructor(target: Target, { localAddress, query = '', headers, onSend, onEvent }: OpenOptions, onOpen?: () => void) {
    const closed = deferred<string>();
    this.closed = closed.promise;
    this.#onSend = onSend;
    this.onEvent = onEvent;
    this.#connection = new Connection(
      { ...target, path: `/socket.io/?EIO=4&transport=websocket${query}`, localAddress, headers },
      {
        ...(onOpen && { onOpen }),
        onRead: () => undefined,
        onFrame: (bytes, start, end, opcode) => {
          if (opcode === OPCODE.text) this.#receive(bytes, start, end);
          // The close frame of the server, which waits for the reply before it closes.
          else if (opcode === OPCODE.close) this.#connection.end();
        },
        onEnd: (why) => {
          this.#end(why);
          closed.resolve(why);
        },
      },
    );
  }

  /** Sends CONNECT. Rejects with the reason of a refusal. */
  async connect(auth?: object): Promise<ConnectedPacket> {
    if (this.closeReason !== undefined) throw new ConnectionClosed(this.closeReason);
    this.#connected = deferred();
    this.send(CONNECT + (auth === undefined ? '' : JSON.stringify(auth)));
    return this.#connected.promise;
  }

  /** Resolves with the response, which may be a refusal. Rejects if the connection is closed before. */
  async ask<E extends EventName>(event: E, payload: RequestInput<E>): Promise<Ack<E>> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.closeReason !== undefined) {
        reject(new ConnectionClosed(this.closeReason));
        return;
      }
      this.#pending.set(id, (answer) => (answer instanceof Error ? reject(answer) : resolve(answer as Ack<E>)));
      this.send(`${EVENT}${id}${JSON.stringify([event, payload])}`);
    });
  }

  /** As `ask`, but rejects on a refusal. */
  async request<E extends EventName>(event: E, payload: RequestInput<E>): Promise<ResponsePayload<E>> {
    const answer = await this.ask(event, payload);
    if (!answer.ok) throw new Error(`The server refused ${event}: ${JSON.stringify(answer.error)}`);
    return answer;
  }

  send(packet: string): void {
    this.#onSend?.(packet.length);
    this.#connection.send(packet);
  }

  /** Writes any bytes unchanged. */
  write(bytes: Buffer): void {
    this.#onSend?.(bytes.length);
    this.#connection.write(bytes);
  }

  stopReading(): void {
    this.#connection.stopReading();
  }

  resumeReading(): void {
    this.#connection.resumeReading();
  }

  end(options?: { reset?: boolean }): void {
    this.#connection.end(options);
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    switch (bytes.toString('latin1', start, Math.min(start + 2, end))) {
      case EVENT:
        this.onEvent?.(bytes.toString('utf8', start, end));
        break;
      case ACK:
        this.#acknowledge(bytes.subarray(start, end));
        break;
      case PING:
        this.#connection.send('3');
        break;
      case PROBE_ANSWER:
        this.#probed.resolve();
        break;
      case CONNECT:
        this.#acceptConnection(JSON.parse(bytes.toString('utf8', start + CONNECT.length, end)) as ConnectedPacket);
        break;
      case CONNECT_ERROR:
        this.#connected?.reject(new Error(bytes.toString('utf8', start + CONNECT_ERROR.length, end)));
        break;
      case DISCONNECT:
        this.#connection.end();
        break;
      default:
        if (bytes[start] === 0x30) this.#opened.resolve();
    }
  }

  #acceptConnection(packet: ConnectedPacket): void {
    this.pid = packet.pid;
    this.#connected?.resolve(packet);
  }

  #acknowledge(packet: Buffer): void {
    const bracket = packet.indexOf(BRACKET);
    const id = Number(packet.toString('latin1', ACK.length, bracket));
    const resolve = this.#pending.get(id);
    if (resolve === undefined) {
      this.onAck?.(id, packet.toString());
      return;
    }
    this.#pending.delete(id);
    const [answer] = JSON.parse(packet.toString('utf8', bracket)) as [unknown];
    resolve(answer);
  }

  #end(why: string): void {
    this.closeReason = why;
    const error = new ConnectionClosed(why);
    this.#opened.reject(error);
    this.#probed.reject(error);
    this.#connected?.reject(error);
    for (const settle of this.#pending.values()) settle(error);
    this.#pending.clear();
  }
}
