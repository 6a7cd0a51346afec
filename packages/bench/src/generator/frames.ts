const FIN_TEXT = 0x81;
const MASKED = 0x80;
const EMPTY = Buffer.alloc(0);
/** No server here sends a larger message; one that does is broken. */
const MAX_FRAME = 64 * 1024 * 1024;

/** Is given where in the buffer the payload of a frame lies; the bytes are its until it returns. */
export type OnFrame = (bytes: Buffer, start: number, end: number, opcode: number) => void;

/**
 * Reads the frames of a WebSocket server where they lie: nothing is copied or made for a frame, but for the one that a
 * chunk ends in, which is put together when its rest comes. Fragments count as frames of their own.
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  /** Beginning of a frame whose rest is not here yet. */
  #begun: Buffer = EMPTY;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  read(chunk: Buffer, length = chunk.length): void {
    const rest = this.#begun.length > 0 ? this.#finish(chunk, length) : 0;
    if (rest < 0) return;
    const at = this.#readWhole(chunk, rest, length);
    if (at < length) this.#begun = Buffer.from(chunk.subarray(at, length));
  }

  /** Where in the chunk the next frame begins; negative when the chunk does not even complete the frame that was begun. */
  #finish(chunk: Buffer, length: number): number {
    for (let taken = 0; ; ) {
      const size = sizeOf(this.#begun, 0, this.#begun.length);
      const wanted = (size < 0 ? -size : size) - this.#begun.length;
      const given = Math.min(wanted, length - taken);
      this.#begun = Buffer.concat([this.#begun, chunk.subarray(taken, taken + given)]);
      taken += given;
      if (given < wanted) return -1;
      if (size < 0) continue;
      const frame = this.#begun;
      this.#begun = EMPTY;
      this.#readWhole(frame, 0, frame.length);
      return taken;
    }
  }

  /** Where the frame begins that is not whole. */
  #readWhole(bytes: Buffer, from: number, length: number): number {
    for (let at = from; ; ) {
      const size = sizeOf(bytes, at, length);
      if (size < 0 || at + size > length) return at;
      const short = (bytes[at + 1] as number) & 0x7f;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      this.#onFrame(bytes, at + head, at + size, (bytes[at] as number) & 0x0f);
      at += size;
    }
  }
}

/** Bytes of the frame that begins there, head included; when the head is not whole, minus as many as its head has at least. */
function sizeOf(bytes: Buffer, at: number, length: number): number {
  const here = length - at;
  if (here < 2) return -2;
  const short = bytes[at + 1] as number;
  if (short < 126) return 2 + short;
  if (short === 126) return here < 4 ? -4 : 4 + bytes.readUInt16BE(at + 2);
  if ((short & MASKED) !== 0) throw new Error('A server must not mask its frames.');
  if (here < 10) return -10;
  const size = Number(bytes.readBigUInt64BE(at + 2));
  if (size > MAX_FRAME) throw new Error(`A frame of ${size} bytes is too large.`);
  return 10 + size;
}

/** A text frame as clients send it: masked, but with zeros, so that the text can be changed where it lies. */
export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length >= 2 ** 16) throw new Error('A client says nothing that long.');
  const head =
    payload.length < 126
      ? Buffer.from([FIN_TEXT, MASKED | payload.length])
      : Buffer.from([FIN_TEXT, MASKED | 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** The smallest answer to a ping of WebSocket itself. */
export const PONG_FRAME = Buffer.from([0x8a, MASKED, 0, 0, 0, 0]);
