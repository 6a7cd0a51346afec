import { randomBytes } from 'node:crypto';
import { type FanOutAdapter, type FanOutOptions, fanOut } from '@engawa/fan-out';
import type { Socket } from 'socket.io';
import { connectionOf } from './local-room.ts';
import { comeBack, findReturn, type Return } from './recovery.ts';
import type { Services } from './services.ts';

/** What a stock client of this namespace comes back to, when `socket.recovered`. */
export const returnOf = (socket: Socket): Return | undefined => (socket.data as { comesBack?: Return }).comesBack;

/**
 * Socket.IO's connection state recovery, answered from the log. Socket.IO would have us hand over all missed packets
 * before the client is known to be let in; we only say that it may come back, and tell what it missed once it is here.
 */
export function recoveringAdapter(services: Services, options: FanOutOptions): typeof FanOutAdapter {
  return class extends fanOut(options) {
    override async restoreSession(pid: string, offset: string) {
      const comesBack = await findReturn(services, { pid, offset }).catch((error: unknown) => {
        services.log.error({ err: error }, 'nobody can be recovered now');
      });
      if (!comesBack) return null as never;
      return { sid: randomBytes(15).toString('base64url'), pid, rooms: [], missedPackets: [], data: { comesBack } };
    }
  };
}

/** Who was recovered is told what he missed, before anything that he asks now. */
export function welcomeBack(services: Services, socket: Socket): void {
  const back = returnOf(socket);
  if (!back) return;
  connectionOf(socket).inTurn(() =>
    comeBack(services, socket, back).catch((error: unknown) => {
      services.log.info({ err: error }, 'somebody could not come back after all');
      services.wire.end(socket);
    }),
  );
}
