/** A group of four actors, of both kinds, who send chats without a pause. */
import { expect } from 'vitest';
import type { ServerProcess } from '../processes/server-process.ts';
import type { FaultyProxy } from '../proxies/faulty-proxy.ts';
import { openStoreAt } from '../stores.ts';
import { until } from '../wait-for.ts';
import type { ChatActor, SdkActor, SocketIoActor } from './chat-actors.ts';
import { ConsistencyChecker } from './consistency-checker.ts';

export interface ActorGroup {
  checker: ConsistencyChecker;
  sdk: SdkActor[];
  socketIo: SocketIoActor[];
  all: ChatActor[];
  /** Stops the chats. */
  stopSending: () => void;
}

export async function startActorGroup({ url }: FaultyProxy): Promise<ActorGroup> {
  const checker = new ConsistencyChecker();
  const sdk = [await checker.addSdkActor('aya', url), await checker.addSdkActor('ben', url)];
  const socketIo = [await checker.addSocketIoActor('chiyo', url), await checker.addSocketIoActor('dan', url)];
  const all = [...sdk, ...socketIo];
  const stops = all.map((person) => person.startSending());
  const stopSending = () => {
    for (const stop of stops) stop();
  };
  return { checker, sdk, socketIo, all, stopSending };
}

/** Waits until every actor has lost its connection this often, and is live again. */
export const waitUntilReconnected = ({ all }: ActorGroup, drops: number): Promise<void> =>
  until(() => all.every((each) => each.drops >= drops && each.isLive), 'all are back', 20_000);

/** Waits until all is consistent; then stops the server, and checks what it has stored. */
export async function expectConsistent({ checker, stopSending }: ActorGroup, server: ServerProcess, storeLocation: string): Promise<void> {
  stopSending();
  await checker.waitUntilConsistent();
  await server.stop();
  expect(await checker.findFaults(await openStoreAt(storeLocation))).toEqual([]);
}
