// Builds valid and invalid WebSocket frames.
import { OPCODE } from '../generator/frames.ts';

export { OPCODE };

interface FrameParts {
  opcode?: number;
  payload?: Buffer | string;
  /** Final frame of its message. */
  fin?: boolean;
  /** RSV1, RSV2 and RSV3 as bits 4, 2 and 1. */
  rsv?: number;
  /** Clients must mask; a mask of zeros leaves the payload readable. */
  masked?: boolean;
  /** A false length. */
  length?: number | bigint;
}

const MASK = 0x80;
const SHORT_MAX = 125;
const MEDIUM_MAX = 0xffff;

export function buildFrame({ opcode = OPCODE.text, payload = '', fin = true, rsv = 0, masked = true, length }: FrameParts): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const head = [Buffer.from([first]), lengthField(length ?? bytes.length, masked ? MASK : 0)];
  return Buffer.concat(masked ? [...head, Buffer.alloc(4), bytes] : [...head, bytes]);
}

function lengthField(length: number | bigint, mask: number): Buffer {
  if (length <= SHORT_MAX) return Buffer.from([mask | Number(length)]);
  const isMedium = length <= MEDIUM_MAX;
  const field = Buffer.alloc(isMedium ? 3 : 9);
  field[0] = mask | (isMedium ? 126 : 127);
  if (isMedium) field.writeUInt16BE(Number(length), 1);
  else field.writeBigUInt64BE(BigInt(length), 1);
  return field;
}
