/** Installs Socket.IO connection state recovery, answered from the log. */
import { ChatError } from '@engawa/protocol';
import type { AppContext } from '../api/context.ts';
import { findRecoverableSession, type RecoverableSession, restoreSession } from '../api/session-recovery.ts';
import type { RecoveryTokens } from '../connections/recovery-tokens.ts';
import type { ChatSocket, ChatSocketServer } from './chat-socket.ts';
import { clearHandshake } from './socket-memory.ts';

const RECOVERY_TRIED = Symbol('recovery was tried');

type Conn = ChatSocket['conn'] & { [RECOVERY_TRIED]?: true };

/** What recovered clients return to, from the middleware until their connection. */
const recoveredSessions = new WeakMap<ChatSocket, RecoverableSession>();

/**
 * A middleware of its own, after the one that admits. Socket.IO's own recovery asks the adapter before any middleware, so that
 * whoever is refused has cost the search already; and it would have all missed packets at once. A client takes itself for
 * recovered when it is given the `pid` again that it showed. Tried once a connection, however often it sends CONNECT.
 */
export function installSessionRecovery(io: ChatSocketServer, context: AppContext, recoveryTokens: RecoveryTokens): void {
  io.use((socket, next) => {
    const { pid, offset } = socket.handshake.auth as { pid?: unknown; offset?: unknown };
    const conn = socket.conn as Conn;
    clearHandshake(socket);
    if (!socket.data.canUseOffsets || conn[RECOVERY_TRIED] || typeof pid !== 'string' || typeof offset !== 'string') return next();
    conn[RECOVERY_TRIED] = true;
    void recoverSession({ context, recoveryTokens, socket, pid, offset }).then(() => next());
  });
}

interface RecoveryAttempt {
  context: AppContext;
  recoveryTokens: RecoveryTokens;
  socket: ChatSocket;
  pid: string;
  offset: string;
}

/** Never rejects: a client that cannot be recovered is connected nevertheless, and joins again. */
async function recoverSession({ context, recoveryTokens, socket, pid, offset }: RecoveryAttempt): Promise<void> {
  try {
    if ((await recoveryTokens.open(pid)) !== socket.data.identity.session) return;
    await context.admissionQueue.waitForTurn();
    const isDisconnected = () => socket.conn.readyState !== 'open';
    const recoveredSession = await findRecoverableSession(context, { connection: socket.data, offset, isDisconnected });
    if (!recoveredSession) return;
    recoveredSessions.set(socket, recoveredSession);
    Object.assign(socket, { pid, recovered: true });
  } catch (error) {
    // What is refused is not worth a line: anybody may have it refused.
    if (!(error instanceof ChatError)) context.log.error({ err: error }, 'session recovery failed');
  }
}

/** A recovered client is told what it missed before anything that it asks now is done. */
export function restoreOnConnect(context: AppContext, socket: ChatSocket): void {
  const recoveredSession = recoveredSessions.get(socket);
  if (!recoveredSession) return;
  recoveredSessions.delete(socket);
  const connection = socket.data;
  connection.enqueue(() =>
    restoreSession(context, connection, recoveredSession).catch((error: unknown) => {
      context.log.info({ err: error }, 'restoring a recovered session failed');
      connection.peer.disconnect();
    }),
  );
}
