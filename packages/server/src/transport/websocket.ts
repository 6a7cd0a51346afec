import { type ServerOptions, WebSocketServer } from 'ws';

/**
 * The WebSocket server that Engine.IO uses, with limits for chat: Engine.IO passes the size of a message on, but a
 * message can also be cut into endless fragments or come a byte at a time, every ping is answered by a pong that
 * somebody has to read, and who does not answer a goodbye must not hold its connection, and what waits there, for long.
 */
export class ChatWebSocketServer extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({ ...options, maxFragments: 64, maxBufferedChunks: 1_024, maxPendingAutoPongs: 10, closeTimeout: 3_000 } as ServerOptions);
  }
}
