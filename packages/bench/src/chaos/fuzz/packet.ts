// A packet of a fuzz case, and its bytes on a WebSocket.
import { buildFrame, OPCODE } from '../websocket-frame.ts';

export interface Packet {
  /** A text packet, or the bytes of an attachment. */
  data: string | Buffer;
  /** Lengths of its fragments; unfragmented if undefined. */
  fragments?: readonly number[];
  /** An invalid frame: bits, opcode, mask or length are wrong. */
  brokenFrame?: { rsv?: number; opcode?: number; masked?: boolean; length?: number };
}

const RESERVED = new Set(['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']);

/** The server waits for bytes that never come, so it is unknown what it has received. */
export const isOpenEnded = ({ brokenFrame }: Packet): boolean => brokenFrame?.length !== undefined;

/** The id of the acknowledgement that the server must send; undefined if the response is not determined. */
export function expectedAck({ data, brokenFrame }: Packet): number | undefined {
  const [head, id] = typeof data === 'string' && !brokenFrame ? (/^42(\d{1,15})\[/.exec(data) ?? []) : [];
  if (head === undefined || id === undefined) return undefined;
  try {
    const [event] = JSON.parse((data as string).slice(head.length - 1)) as [unknown];
    return typeof event === 'string' && !RESERVED.has(event) ? Number(id) : undefined;
  } catch {
    return undefined;
  }
}

export function toFrames({ data, fragments, brokenFrame }: Packet): Buffer {
  const opcode = typeof data === 'string' ? OPCODE.text : OPCODE.binary;
  const payload = typeof data === 'string' ? Buffer.from(data) : data;
  if (brokenFrame) return buildFrame({ opcode, payload, ...brokenFrame });
  if (!fragments) return buildFrame({ opcode, payload });
  const frames: Buffer[] = [];
  let at = 0;
  for (const [index, length] of fragments.entries()) {
    frames.push(buildFrame({ opcode: index === 0 ? opcode : OPCODE.continuation, payload: payload.subarray(at, at + length), fin: false }));
    at += length;
  }
  frames.push(buildFrame({ opcode: OPCODE.continuation, payload: payload.subarray(at) }));
  return Buffer.concat(frames);
}
