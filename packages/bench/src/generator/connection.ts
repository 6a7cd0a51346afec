// A WebSocket client with as little work per frame as possible.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { clientFrame, FrameReader, type OnFrame, OPCODE, PONG_FRAME } from './frames.ts';

/** Shared by all connections: a handler is done with its bytes before the system reads the next. */
const READ_BUFFER = Buffer.allocUnsafe(256 * 1024);
/** Maximum size of the response to the handshake. */
const MAX_HEAD = 16 * 1024;
const END_OF_HEAD = '\r\n\r\n';

export interface Address {
  host: string;
  port: number;
  path: string;
  /** Source address. One address has ports for fewer than 28,000 connections to one server. */
  localAddress?: string | undefined;
  /** Handshake headers besides the standard ones. */
  headers?: readonly string[] | undefined;
}

interface Listener {
  /** Called once, after the handshake. */
  onOpen?: () => void;
  /** Called before the frames of each read. */
  onRead: (bytes: number) => void;
  onFrame: OnFrame;
  /** Called once, with the reason. */
  onEnd: (why: string) => void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #onOpen: (() => void) | undefined;
  #head: string | undefined = '';
  #why: string | undefined;

  constructor(address: Address, { onOpen, onRead, onFrame, onEnd }: Listener) {
    this.#onOpen = onOpen;
    this.#frames = new FrameReader((bytes, start, end, opcode) => {
      if (opcode === OPCODE.ping) this.#socket.write(PONG_FRAME);
      else onFrame(bytes, start, end, opcode);
    });
    const receive = (length: number, bytes: Uint8Array): boolean => {
      onRead(length);
      this.#receive(bytes as Buffer, length);
      return true;
    };
    const { host, port, localAddress } = address;
    const onread = { buffer: READ_BUFFER, callback: receive };
    this.#socket = connect({ host, port, onread, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
    this.#socket.once('connect', () => this.#socket.write(handshake(address)));
    this.#socket.on('error', (error) => (this.#why ??= error.message));
    this.#socket.once('end', () => this.#socket.destroy());
    this.#socket.once('close', () => onEnd(this.#why ?? 'the server closed the connection'));
  }

  send(text: string): void {
    this.#socket.write(clientFrame(text));
  }

  /** The caller must not change the bytes afterwards. */
  write(frame: Buffer): void {
    this.#socket.write(frame);
  }

  /** Stops reading, so that what the server sends fills its buffers. */
  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Ends it without a close frame; with `reset`, without a FIN, too. */
  end({ reset = false }: { reset?: boolean } = {}): void {
    if (reset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #receive(chunk: Buffer, length: number): void {
    try {
      if (this.#head === undefined) this.#frames.read(chunk, length);
      else this.#shakeHands(this.#head + chunk.toString('latin1', 0, length));
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }

  #shakeHands(head: string): void {
    this.#head = head;
    const end = head.indexOf(END_OF_HEAD);
    if (end < 0 && head.length < MAX_HEAD) return;
    if (!head.startsWith('HTTP/1.1 101 ')) {
      this.#socket.destroy(new Error(`refused: ${head.slice(0, 200)}`));
      return;
    }
    this.#head = undefined;
    this.#onOpen?.();
    this.#frames.read(Buffer.from(head.slice(end + END_OF_HEAD.length), 'latin1'));
  }
}

const handshake = ({ host, port, path, headers = [] }: Address): string =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Version: 13',
    ...headers,
    END_OF_HEAD.slice(2),
  ].join('\r\n');
