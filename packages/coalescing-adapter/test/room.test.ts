/** Room batches: flushing in slices. */
import { expect, test } from 'vitest';
import { RoomBatch } from '#room-batch.js';
import { encodeTextFrame, type Frame } from '#websocket-frame.js';

const frame = (number: number): Frame => {
  const bytes = encodeTextFrame(String(number));
  return {
    number,
    bytes,
    encoded: [''],
    options: { preEncoded: true, compress: undefined, wsPreEncodedFrame: [bytes] },
    packet: { data: [] },
  };
};

test('a large room is written in slices, and sockets that are written later also receive newer messages', () => {
  const sent: number[] = [];
  const room: RoomBatch = new RoomBatch({
    getSocketIds: () => Array.from({ length: 40 }, (_, member) => `${member}`),
    flushSocket: () => sent.push(room.lastNumber),
  });
  room.add(frame(1));
  expect(room.flushUntil(performance.now())).toBe(false);
  expect(sent).toHaveLength(16);
  room.add(frame(2));
  expect(room.flushUntil(performance.now())).toBe(false);
  expect(room.flushUntil(Infinity)).toBe(true);
  expect(sent).toEqual(Array.from({ length: 40 }, (_, member) => (member < 16 ? 1 : 2)));
  // Sockets that were written first do not miss it.
  expect(room.framesAfter(0).map(({ number }) => number)).toEqual([2]);
  expect(room.flushUntil(Infinity)).toBe(true);
  expect(sent.slice(40)).toEqual(Array.from({ length: 40 }, () => 2));
  expect(room.framesAfter(0)).toEqual([]);
});
