/** The WebSocket server of Engine.IO, with limits that keep one client from blocking the others. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

/** Of one connection, so many bytes are read in a turn of the event loop, and what came in the same chunk as the last of them. */
const MAX_BYTES_PER_TURN = 32 * 1024;
/** Of those that send more than that, so many are read on in one turn. */
const RESUMED_PER_TURN = 4;

/**
 * The WebSocket server that Engine.IO uses, with limits for chat: Engine.IO passes the size of a message on, but a
 * message can also be cut into endless fragments or come a byte at a time, every ping is answered by a pong that
 * somebody has to read, and who does not answer a goodbye must not hold its connection, and what waits there, for long.
 * Connections take turns: a client that sends megabytes is else read until its socket is empty, while all others wait.
 */
export class ChatWebSocketServer extends WebSocketServer {
  /** Connections that have more to say, in the order in which they are read on. */
  #paused: ThrottledWebSocket[] = [];
  /** One listener for all: a closure for each connection costs more than a number on it. */
  readonly #countMessage: (this: ThrottledWebSocket, message: RawData) => void;

  constructor(options: ServerOptions) {
    super({ ...options, maxFragments: 64, maxBufferedChunks: 1_024, maxPendingAutoPongs: 10, closeTimeout: 3_000 } as ServerOptions);
    const pause = (client: ThrottledWebSocket) => this.#pauseClient(client);
    this.#countMessage = function takeTurns(message) {
      this.bytesReadInTurn = (this.bytesReadInTurn ?? 0) + (message as Buffer).length;
      if (this.bytesReadInTurn >= MAX_BYTES_PER_TURN && !this.isPaused) pause(this);
    };
  }

  override handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    onUpgraded: (client: ThrottledWebSocket, request: IncomingMessage) => void,
  ): void {
    super.handleUpgrade(request, socket, head, (client: WebSocket) => {
      client.on('message', this.#countMessage);
      onUpgraded(client, request);
    });
  }

  #pauseClient(client: ThrottledWebSocket): void {
    client.bytesReadInTurn = 0;
    client.pause();
    if (this.#paused.push(client) === 1) setImmediate(() => this.#resumeNext());
  }

  #resumeNext(): void {
    for (const client of this.#paused.splice(0, RESUMED_PER_TURN)) client.resume();
    if (this.#paused.length > 0) setImmediate(() => this.#resumeNext());
  }
}

interface ThrottledWebSocket extends WebSocket {
  /** Bytes that were read since it last waited for its turn. */
  bytesReadInTurn?: number;
}
