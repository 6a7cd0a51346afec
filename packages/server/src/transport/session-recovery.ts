/** Socket.IO's connection state recovery, answered from the log. */
import { ChatError } from '@engawa/protocol';
import type { Server, Socket } from 'socket.io';
import { sessionIn } from './authenticate.ts';
import { forgetHandshake } from './lean.ts';
import { connectionOf } from './local-room.ts';
import { comeBack, findReturn, type Return } from './recovery.ts';
import type { Services } from './services.ts';

const TRIED = Symbol('recovery was tried');

type Conn = Socket['conn'] & { [TRIED]?: true };

/** What a client of this namespace comes back to, when `socket.recovered`. */
const returnOf = (socket: Socket): Return | undefined => (socket.data as { comesBack?: Return }).comesBack;

/**
 * A middleware of its own, after the one that admits. Socket.IO's own recovery asks the adapter before any middleware, so that
 * whoever is refused has cost the search already; and it would have all missed packets at once. A client takes itself for
 * recovered when it is given the `pid` again that it showed. Tried once a connection, however often it sends CONNECT.
 */
export function recoverSessions(io: Server, services: Services): void {
  io.use((socket, next) => {
    const { pid, offset } = socket.handshake.auth as { pid?: unknown; offset?: unknown };
    const conn = socket.conn as Conn;
    forgetHandshake(socket);
    const { identity, takesOffset } = connectionOf(socket);
    const mayReturn = takesOffset && sessionIn(pid) === identity.session && !conn[TRIED];
    if (!mayReturn || typeof pid !== 'string' || typeof offset !== 'string') return next();
    conn[TRIED] = true;
    void recover(services, socket, { pid, offset }).then(() => next());
  });
}

/** Never rejects: a client that cannot be recovered is connected all the same, and joins anew. */
async function recover(services: Services, socket: Socket, { pid, offset }: { pid: string; offset: string }): Promise<void> {
  try {
    await services.turnstile.pass();
    const isGone = () => socket.conn.readyState !== 'open';
    const comesBack = await findReturn(services, { connection: connectionOf(socket), offset, isGone });
    if (comesBack) Object.assign(socket, { pid, recovered: true, data: { ...(socket.data as object), comesBack } });
  } catch (error) {
    // What is refused is not worth a line: anybody may have it refused.
    if (!(error instanceof ChatError)) services.log.error({ err: error }, 'session recovery failed');
  }
}

/** A recovered client is told what it missed before anything that it asks now is done. */
export function welcomeBack(services: Services, socket: Socket): void {
  const back = returnOf(socket);
  if (!back) return;
  connectionOf(socket).inTurn(() =>
    comeBack(services, socket, back).catch((error: unknown) => {
      services.log.info({ err: error }, 'restoring a recovered session failed');
      services.wire.end(socket);
    }),
  );
}
