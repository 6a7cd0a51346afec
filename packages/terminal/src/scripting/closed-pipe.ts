/**
 * Notices that nobody reads a pipe any more although nothing is written to it, as `tail -f` does: in a quiet room
 * `engawa tail ROOM | head -3` would else wait for the next chat.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** Linux tells who polls the writing end of a pipe when its last reader has gone. Node polls what it may read, and no other system was tried. */
const CAN_POLL = process.platform === 'linux';

/** A handle of Node's own: its public streams refuse to read what was opened for writing alone, and so never poll it. */
interface Handle {
  open(fd: number): number;
}
type Binding = (name: string) => { TCP: new (type: number) => Handle; constants: { SOCKET: number } };

/** Calls back once, when the last reader of the pipe has gone; never where that cannot be known. Keeps no process from ending. */
export function onPipeReaderClosed(stream: Writable, onClosed: () => void): void {
  const { fd } = stream as { fd?: unknown };
  try {
    if (!CAN_POLL || typeof fd !== 'number' || !fstatSync(fd).isFIFO()) return;
    pollPipe(fd, onClosed);
  } catch {
    // Then the next line that is written finds it out.
  }
}

/** Through a descriptor of its own, so that the stream's stays as it is. Reading fails as soon as the poll has an event: it has no other one. */
function pollPipe(fd: number, onClosed: () => void): void {
  const { TCP, constants } = (process as unknown as { binding: Binding }).binding('tcp_wrap');
  const ownFd = openSync(`/proc/self/fd/${fd}`, 'w');
  const handle = new TCP(constants.SOCKET);
  if (handle.open(ownFd) !== 0) {
    closeSync(ownFd);
    return;
  }
  const socket = new Socket({ handle } as unknown as ConstructorParameters<typeof Socket>[0]);
  socket.on('error', () => undefined).once('close', onClosed);
  socket.resume().unref();
}
