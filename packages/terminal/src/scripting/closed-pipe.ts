// Detects that the reader of an output pipe is gone while nothing is written (Linux only).
// Without it, `engawa tail ROOM | head -3` in a quiet room would wait for the next chat before it ends. `tail -f` does the same.
import { closeSync, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** On Linux, a poll on the write end of a pipe reports that its last reader is gone. Other systems are untested. */
const CAN_POLL = process.platform === 'linux';

/** An internal handle of Node: its public streams refuse to read a write-only descriptor, and so never poll it. */
interface Handle {
  open(fd: number): number;
}
type Binding = (name: string) => { TCP: new (type: number) => Handle; constants: { SOCKET: number } };

/** Calls `onClosed` once, when the last reader is gone; never if that cannot be detected. Does not keep the process alive. */
export function onPipeReaderClosed(stream: Writable, onClosed: () => void): void {
  const { fd } = stream as { fd?: unknown };
  try {
    if (!CAN_POLL || typeof fd !== 'number' || !fstatSync(fd).isFIFO()) return;
    pollPipe(fd, onClosed);
  } catch {
    // The next write will detect it.
  }
}

/** Opens its own descriptor, so that the stream's keeps its flags. The poll has only this event, at which a read fails. */
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
