// Reads and writes WebSocket frames with as little work as possible.
/** WebSocket opcodes. */
export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

const FIN_TEXT = 0x81;
const MASKED = 0x80;
const EMPTY = Buffer.alloc(0);
/** Servers under test send no larger message. */
const MAX_FRAME = 64 * 1024 * 1024;

/** Receives the range of a payload in a buffer. The bytes are valid until it returns. */
export type OnFrame = (bytes: Buffer, start: number, end: number, opcode: number) => void;

/** Reads the frames of a server without copying, except a frame that spans two chunks. Each fragment counts as a frame. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  /** The beginning of an incomplete frame: the first `#begunLength` bytes. */
  #begun: Buffer = EMPTY;
  #begunLength = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  read(chunk: Buffer, length = chunk.length): void {
    const rest = this.#begunLength > 0 ? this.#finish(chunk, length) : 0;
    if (rest < 0) return;
    const at = this.#readWhole(chunk, rest, length);
    if (at < length) this.#begin(chunk.subarray(at, length));
  }

  #begin(bytes: Buffer): void {
    [this.#begun, this.#begunLength] = [Buffer.from(bytes), bytes.length];
  }

  /** Returns where the next frame begins in the chunk, or -1 if the begun frame is still incomplete. */
  #finish(chunk: Buffer, length: number): number {
    for (let taken = 0; ; ) {
      const size = sizeOf(this.#begun, 0, this.#begunLength);
      const wanted = Math.abs(size);
      if (this.#begun.length < wanted) this.#begun = Buffer.concat([this.#begun], wanted);
      const given = Math.min(wanted - this.#begunLength, length - taken);
      chunk.copy(this.#begun, this.#begunLength, taken, taken + given);
      this.#begunLength += given;
      taken += given;
      if (this.#begunLength < wanted) return -1;
      if (size < 0) continue;
      const frame = this.#begun;
      [this.#begun, this.#begunLength] = [EMPTY, 0];
      this.#readWhole(frame, 0, wanted);
      return taken;
    }
  }

  /** Returns where the first incomplete frame begins. */
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

/** Size of the frame with its head; if the head is incomplete, its minimum size as a negative number. */
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

/** A masked text frame. The mask is zero, so that the text can be changed in place. */
export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length >= 2 ** 16) throw new Error('The text is too long for one frame of the generator.');
  const head =
    payload.length < 126
      ? Buffer.from([FIN_TEXT, MASKED | payload.length])
      : Buffer.from([FIN_TEXT, MASKED | 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** The smallest answer to a WebSocket ping. */
export const PONG_FRAME = Buffer.from([0x8a, MASKED, 0, 0, 0, 0]);
