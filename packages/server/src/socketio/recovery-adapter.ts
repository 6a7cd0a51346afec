/** Installs Socket.IO connection state recovery, answered from the log. */
import { ChatError } from '@engawa/protocol';
import type { Server, Socket } from 'socket.io';
import type { AppContext } from '../api/context.ts';
import { findRecoverableSession, type RecoverableSession, restoreSession } from '../api/session-recovery.ts';
import { sessionFromPid } from '../connections/identity.ts';
import { connectionOf } from '../rooms/local-room.ts';
import { clearHandshake } from './socket-memory.ts';

const RECOVERY_TRIED = Symbol('recovery was tried');

type Conn = Socket['conn'] & { [RECOVERY_TRIED]?: true };

/** What a client of this namespace comes back to, when `socket.recovered`. */
const recoveredSessionOf = (socket: Socket): RecoverableSession | undefined =>
  (socket.data as { recoveredSession?: RecoverableSession }).recoveredSession;

/**
 * A middleware of its own, after the one that admits. Socket.IO's own recovery asks the adapter before any middleware, so that
 * whoever is refused has cost the search already; and it would have all missed packets at once. A client takes itself for
 * recovered when it is given the `pid` again that it showed. Tried once a connection, however often it sends CONNECT.
 */
export function installSessionRecovery(io: Server, context: AppContext): void {
  io.use((socket, next) => {
    const { pid, offset } = socket.handshake.auth as { pid?: unknown; offset?: unknown };
    const conn = socket.conn as Conn;
    clearHandshake(socket);
    const { identity, canUseOffsets } = connectionOf(socket);
    const canRecover = canUseOffsets && sessionFromPid(pid) === identity.session && !conn[RECOVERY_TRIED];
    if (!canRecover || typeof pid !== 'string' || typeof offset !== 'string') return next();
    conn[RECOVERY_TRIED] = true;
    void recoverSession(context, socket, { pid, offset }).then(() => next());
  });
}

/** Never rejects: a client that cannot be recovered is connected all the same, and joins anew. */
async function recoverSession(context: AppContext, socket: Socket, { pid, offset }: { pid: string; offset: string }): Promise<void> {
  try {
    await context.admissionQueue.waitForTurn();
    const isDisconnected = () => socket.conn.readyState !== 'open';
    const recoveredSession = await findRecoverableSession(context, { connection: connectionOf(socket), offset, isDisconnected });
    if (recoveredSession) Object.assign(socket, { pid, recovered: true, data: { ...(socket.data as object), recoveredSession } });
  } catch (error) {
    // What is refused is not worth a line: anybody may have it refused.
    if (!(error instanceof ChatError)) context.log.error({ err: error }, 'session recovery failed');
  }
}

/** A recovered client is told what it missed before anything that it asks now is done. */
export function restoreOnConnect(context: AppContext, socket: Socket): void {
  const recoveredSession = recoveredSessionOf(socket);
  if (!recoveredSession) return;
  connectionOf(socket).enqueue(() =>
    restoreSession(context, socket, recoveredSession).catch((error: unknown) => {
      context.log.info({ err: error }, 'restoring a recovered session failed');
      context.transport.disconnect(socket);
    }),
  );
}
