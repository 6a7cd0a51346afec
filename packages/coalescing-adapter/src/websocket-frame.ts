/** A message to a room, encoded once as a WebSocket frame and as an Engine.IO packet. */

export interface Frame {
  /** Increases over all rooms of the process. */
  readonly number: number;
  /** A complete WebSocket frame. Servers do not mask their frames, so all clients get the same bytes. */
  readonly bytes: Buffer;
  /** The packet of Socket.IO's encoder, for connections that do not accept frames. */
  readonly encoded: [string];
  readonly options: PacketOptions;
  /** For the listeners of outgoing packets. */
  readonly packet: Packet;
}

export interface Packet {
  nsp?: string;
  data: unknown[];
}

export interface PacketOptions {
  preEncoded: true;
  compress: boolean | undefined;
  /** Engine.IO sends this buffer unchanged where it can. */
  wsPreEncodedFrame: [Buffer];
}

/** RFC 6455, section 5.2: the final frame of a text message. */
const FINAL_TEXT = 0x81;
/** Values of the length field that announce an extended length of two or eight bytes. */
const LENGTH_IN_TWO_BYTES = 126;
const LENGTH_IN_EIGHT_BYTES = 127;
/** Engine.IO's prefix of every message. */
const ENGINE_IO_MESSAGE = '4'.charCodeAt(0);

/** Header and payload are in one buffer: one write, and no copy unless other frames are written with it. */
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
