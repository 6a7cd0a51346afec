import type { Server, Socket } from 'socket.io';

/** What may wait for a client that does not read. */
const UNREAD = { frames: 4_096, bytes: 8 * 1024 * 1024 };
const LOOK_EVERY_MS = 1_000;

/**
 * Ends the connection of a client for whom more would have to be kept: memory is for those who read. He may come back
 * and read on from where he was.
 */
export function endIfUnread({ conn }: Socket): void {
  const { writeBuffer } = conn as unknown as { writeBuffer: { data?: string | Buffer }[] };
  if (writeBuffer.length > UNREAD.frames || lengthOf(writeBuffer) > UNREAD.bytes) conn.close(true);
}

const lengthOf = (packets: { data?: string | Buffer }[]): number => packets.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);

/** Looks after those who ask nothing, and are only told what happens in their rooms. */
export function watchUnread(io: Server): { stop: () => void } {
  const timer = setInterval(() => io.sockets.sockets.forEach(endIfUnread), LOOK_EVERY_MS);
  return { stop: () => clearInterval(timer) };
}
