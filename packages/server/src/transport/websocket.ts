import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

/** Of one connection, so many bytes are read in a turn of the event loop, and what came in the same chunk as the last of them. */
const TURN_BYTES = 32 * 1024;
/** Of those that send more than that, so many are read on in one turn. */
const CONNECTIONS_A_TURN = 4;

/**
 * The WebSocket server that Engine.IO uses, with limits for chat: Engine.IO passes the size of a message on, but a
 * message can also be cut into endless fragments or come a byte at a time, every ping is answered by a pong that
 * somebody has to read, and who does not answer a goodbye must not hold its connection, and what waits there, for long.
 * Connections take turns: a client that sends megabytes is else read until its socket is empty, while all others wait.
 */
export class ChatWebSocketServer extends WebSocketServer {
  /** Connections that have more to say, in the order in which they are read on. */
  #waiting: TurnTaking[] = [];
  /** One listener for all: a closure for each connection costs more than a number on it. */
  readonly #takeTurns: (this: TurnTaking, message: RawData) => void;

  constructor(options: ServerOptions) {
    super({ ...options, maxFragments: 64, maxBufferedChunks: 1_024, maxPendingAutoPongs: 10, closeTimeout: 3_000 } as ServerOptions);
    const wait = (client: TurnTaking) => this.#wait(client);
    this.#takeTurns = function takeTurns(message) {
      this.readInTurn = (this.readInTurn ?? 0) + (message as Buffer).length;
      if (this.readInTurn >= TURN_BYTES && !this.isPaused) wait(this);
    };
  }

  override handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    upgraded: (client: TurnTaking, request: IncomingMessage) => void,
  ): void {
    super.handleUpgrade(request, socket, head, (client: WebSocket) => {
      client.on('message', this.#takeTurns);
      upgraded(client, request);
    });
  }

  #wait(client: TurnTaking): void {
    client.readInTurn = 0;
    client.pause();
    if (this.#waiting.push(client) === 1) setImmediate(() => this.#turn());
  }

  #turn(): void {
    for (const client of this.#waiting.splice(0, CONNECTIONS_A_TURN)) client.resume();
    if (this.#waiting.length > 0) setImmediate(() => this.#turn());
  }
}

interface TurnTaking extends WebSocket {
  /** Bytes that were read since it last waited for its turn. */
  readInTurn?: number;
}
