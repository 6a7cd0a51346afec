/** Installs Socket.IO connection state recovery, answered from the log. */
import { ChatError } from '@engawa/protocol';
import type { AppContext } from '../api/context.ts';
import { findRecoverableSession, type RecoverableSession, restoreSession } from '../api/session-recovery.ts';
import type { RecoveryTokens } from '../connections/recovery-tokens.ts';
import type { ChatSocket, ChatSocketServer } from './chat-socket.ts';
import { clearHandshake } from './socket-memory.ts';

const RECOVERY_TRIED = Symbol('recovery was tried');

type Conn = ChatSocket['conn'] & { [RECOVERY_TRIED]?: true };

/** The sessions to restore, from the middleware until the connection event. */
const recoveredSessions = new WeakMap<ChatSocket, RecoverableSession>();

/**
 * A separate middleware, after the one that admits clients. Socket.IO's own recovery calls the adapter before any middleware, so
 * that a refused client would already have cost the search, and it needs all missed packets at once. A client considers itself
 * recovered if it receives the `pid` that it sent. Tried once for each connection, however many CONNECT packets it sends.
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
    // Refusals are not logged: any client can cause them.
    if (!(error instanceof ChatError)) context.log.error({ err: error }, 'session recovery failed');
  }
}

/** A recovered client receives what it missed before the server executes its new requests. */
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
