// A session of a fuzz case over a WebSocket, from the start or after an upgrade from polling.
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventName } from '@engawa/protocol';
import { SocketIoClient, type Target } from '../../generator/socketio-client.ts';
import { toFrames } from './packet.ts';
import { openEngine } from './polling-session.ts';
import type { Session } from './session.ts';

export async function openWebSocket(target: Target, localAddress: string): Promise<Session> {
  return sessionOver(await SocketIoClient.open(target, { localAddress }));
}

/** Starts with polling and upgrades. */
export async function openUpgraded(target: Target, localAddress: string): Promise<Session> {
  const path = await openEngine(target, localAddress);
  return sessionOver(await SocketIoClient.upgrade(target, { localAddress, query: path.slice(path.indexOf('&sid=')) }));
}

function sessionOver(client: SocketIoClient): Session {
  let offset: string | undefined;
  const session: Session = {
    closed: client.closed,
    isClosed: () => client.closeReason !== undefined,
    connect: (auth) => client.connect(auth),
    ask: ({ event, payload }) => client.ask(event as EventName, payload as never),
    async sendAll(packets, batch) {
      for (let at = 0; at < packets.length; at += batch) {
        client.write(Buffer.concat(packets.slice(at, at + batch).map(toFrames)));
        await sleep(0);
      }
    },
    end(ending) {
      if (ending === 'disconnect' && client.closeReason === undefined) client.send('41');
      client.end({ reset: ending === 'reset' });
    },
    onAck: () => undefined,
    offset: () => offset,
  };
  client.onAck = (id) => session.onAck(id);
  client.onEvent = (packet) => (offset = /,"(\d{1,16})"\]$/.exec(packet)?.[1] ?? offset);
  return session;
}
