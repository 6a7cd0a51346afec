import type { Ack, EventName, RequestInput, ResponsePayload } from '@engawa/protocol';
import { WebSocket } from 'ws';

/** Packets that this client meets: Engine.IO's type, then, for its messages (4), Socket.IO's. */
const PONG = '3';
const CONNECT = '40';
const EVENT = '42';
const BRACKET = 0x5b;

/** Is given every event, for those who do read. */
export type OnEvent = (frame: Buffer) => void;

/** What a client shows when it connects: whose it is, or which connection it was and the last event that it heard. */
export interface Auth {
  session?: string;
  pid?: string;
  offset?: string;
}

interface Asked {
  resolve: (reply: unknown) => void;
  reject: (error: Error) => void;
}

/**
 * A Socket.IO client in as few instructions as the protocol allows, so that what is measured is the server: WebSocket
 * from the start, no reconnecting, and what the room hears is counted, not read.
 */
export class RawClient {
  /** Events that the server told. */
  eventCount = 0;
  /** What the server calls this connection, for those who come back to it. */
  pid: string | undefined;
  readonly #onEvent: OnEvent | undefined;
  readonly #socket: WebSocket;
  readonly #connectPacket: string;
  readonly #asked = new Map<number, Asked>();
  #nextId = 0;

  /** Under a new session, unless one is shown. */
  static async connect(url: string, auth: Auth = {}, onEvent?: OnEvent): Promise<RawClient> {
    const address = `${url.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`;
    const socket = new WebSocket(address, { perMessageDeflate: false, skipUTF8Validation: true });
    const client = new RawClient(socket, CONNECT + JSON.stringify(auth), onEvent);
    await new Promise((resolve, reject) => client.#asked.set(-1, { resolve, reject }));
    return client;
  }

  private constructor(socket: WebSocket, connectPacket: string, onEvent?: OnEvent) {
    this.#onEvent = onEvent;
    this.#socket = socket;
    this.#connectPacket = connectPacket;
    socket.on('message', (frame: Buffer) => this.#receive(frame));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('The server closed the connection.')));
  }

  /** Resolves with the reply; a refusal rejects, for no load here should meet one. */
  ask<E extends EventName>(event: E, payload: RequestInput<E>): Promise<ResponsePayload<E>> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise<unknown>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#socket.send(`${EVENT}${id}${JSON.stringify([event, payload])}`);
    }) as Promise<ResponsePayload<E>>;
  }

  /** From now on the server cannot be rid of what it sends. */
  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#asked.clear();
    this.#socket.terminate();
  }

  #receive(frame: Buffer): void {
    switch (frame.toString('latin1', 0, 2)) {
      case EVENT:
        this.eventCount += 1;
        this.#onEvent?.(frame);
        break;
      case '43':
        this.#acknowledge(frame);
        break;
      case '2':
        this.#socket.send(PONG);
        break;
      case CONNECT:
        this.pid = (JSON.parse(frame.toString('utf8', CONNECT.length)) as { pid?: string }).pid;
        this.#settle(-1)?.resolve(undefined);
        break;
      case '44':
        this.#end(new Error(`The connection was refused: ${frame.toString()}`));
        break;
      default:
        if (frame.toString('latin1', 0, 1) === '0') this.#socket.send(this.#connectPacket);
    }
  }

  #acknowledge(frame: Buffer): void {
    const bracket = frame.indexOf(BRACKET);
    const asked = this.#settle(Number(frame.toString('latin1', 2, bracket)));
    const [answer] = JSON.parse(frame.toString('utf8', bracket)) as [Ack<EventName>];
    if (answer.ok) asked?.resolve(answer);
    else asked?.reject(new Error(`The server refused: ${JSON.stringify(answer.error)}`));
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    return asked;
  }

  #end(error: Error): void {
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }
}
