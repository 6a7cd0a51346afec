/** The WebSocket server of Engine.IO, with limits that keep one client from blocking the others. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

/** Bytes that are read from one connection in a turn of the event loop; the chunk with the last of them is completed. */
const MAX_BYTES_PER_TURN = 32 * 1024;
/** Number of paused connections that continue in one turn. */
const RESUMED_PER_TURN = 4;

/**
 * The WebSocket server of Engine.IO with limits for chat. Engine.IO limits the size of a message; but a message can also have
 * endless fragments or arrive byte by byte, every ping causes a pong that the client may not read, and a client that does not
 * answer a close frame must not keep its connection for long. Connections take turns: otherwise a client that sends megabytes
 * would be read until its socket is empty, while all others wait.
 */
export class ChatWebSocketServer extends WebSocketServer {
  /** Paused connections with more to read, in the order in which they continue. */
  #paused: ThrottledWebSocket[] = [];
  /** A shared listener: a closure for each connection costs more than a number on it. */
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
  /** Bytes that were read since it last waited. */
  bytesReadInTurn?: number;
}
