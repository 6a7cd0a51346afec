/** A message to a room, as it travels. */
export interface Frame {
  /** Messages to rooms are numbered over all rooms of the process. */
  readonly number: number;
  /** A whole WebSocket frame. What a server sends is not masked: so it is the same for everybody. */
  readonly bytes: Buffer;
  /** What Socket.IO's encoder made of it, for connections that take no frames. */
  readonly encoded: [string];
  readonly options: PacketOptions;
  /** For whoever listens to what a socket is sent. */
  readonly packet: Packet;
}

export interface Packet {
  nsp?: string;
  data: unknown[];
}

export interface PacketOptions {
  preEncoded: true;
  compress: boolean | undefined;
  /** Engine.IO sends this as it is where it may. */
  wsPreEncodedFrame: [Buffer];
}

/** RFC 6455, section 5.2: the last frame of a message, which is text. */
const FINAL_TEXT = 0x81;
/** Longer messages have their length in two bytes, or in eight. */
const LENGTH_IN_TWO_BYTES = 126;
const LENGTH_IN_EIGHT_BYTES = 127;
/** Engine.IO puts this before every message. */
const ENGINE_IO_MESSAGE = '4'.charCodeAt(0);

/** Header and payload in one buffer: so it is one write, and needs no copy until more is sent with it. */
export function encodeTextFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const payload = length + 1;
  const isShort = payload < LENGTH_IN_TWO_BYTES;
  const start = isShort ? 2 : payload <= 0xff_ff ? 4 : 10;
  const frame = Buffer.allocUnsafe(start + payload);
  frame[0] = FINAL_TEXT;
  if (isShort) {
    frame[1] = payload;
  } else if (start === 4) {
    frame[1] = LENGTH_IN_TWO_BYTES;
    frame.writeUInt16BE(payload, 2);
  } else {
    frame[1] = LENGTH_IN_EIGHT_BYTES;
    frame.writeBigUInt64BE(BigInt(payload), 2);
  }
  frame[start] = ENGINE_IO_MESSAGE;
  frame.write(text, start + 1, length === text.length ? 'latin1' : 'utf8');
  return frame;
}
