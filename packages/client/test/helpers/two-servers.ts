/** Two servers that share a store, optionally with faulty notifications between them. */
import { type Faults, randomFrom } from '@engawa/client/testing';
import type { Listener, Store } from '@engawa/server';
import { type RunningServer, startServer, withOverrides } from '@engawa/testkit/processes/server';
import { isOnRedis, newStore, storeForAnotherServer } from '@engawa/testkit/stores';
import { NO_FAULTS } from '#testing/faults.js';
import { createNodeStore, SharedStore } from '#testing/shared-store.js';

/** The notifications of a room that one server received from the shared store, in order. */
interface Notifications {
  seqs: number[];
}

interface TwoServers {
  servers: [RunningServer, RunningServer];
  /** For inspection. */
  store: Store;
}

/** Two servers with the same rooms, which notify each other over a network. */
export async function startTwoServers(seed: number): Promise<TwoServers> {
  if (!isOnRedis) return startServersWithFaults(seed);
  const store = await newStore();
  const [first, second] = [
    await startServer({ store, rateLimits: 'off' }),
    await startServer({ store: await storeForAnotherServer(store), rateLimits: 'off' }),
  ];
  return { servers: [first, second], store };
}

/** The same with a store in memory, whose notifications to the other server are late and subject to the faults. */
export async function startServersWithFaults(
  seed: number,
  overrides: Partial<Faults> = {},
): Promise<TwoServers & { notifications: [Notifications, Notifications] }> {
  const shared = new SharedStore();
  const faults = (): Faults => ({ ...NO_FAULTS, delayMs: [0, 20], ...overrides });
  const start = async (which: number): Promise<[RunningServer, Notifications]> => {
    const notifications: Notifications = { seqs: [] };
    const store = createNodeStore({ shared, faults, random: randomFrom(seed + which), isAlive: () => true });
    return [await startServer({ store: recordNotifications(store, notifications), rateLimits: 'off' }), notifications];
  };
  const [[first, toFirst], [second, toSecond]] = [await start(0), await start(1)];
  return { servers: [first, second], notifications: [toFirst, toSecond], store: shared.primary };
}

function recordNotifications(store: Store, { seqs }: Notifications): Store {
  const subscribe: Store['subscribe'] = (room, listener) =>
    store.subscribe(room, {
      onAppend: (received) => {
        seqs.push(...received.entries.map(({ seq }) => seq));
        listener.onAppend(received);
      },
      onPublish: (signal) => listener.onPublish(signal),
      onGap: () => listener.onGap(),
    });
  return withOverrides(store, { subscribe });
}

/** The differences between a server's notifications and the log. */
export function deliveryFaults({ seqs }: Notifications, head: number): { lost: number; doubled: number; overtaken: number } {
  const distinct = new Set(seqs);
  let newest = 0;
  let overtaken = 0;
  for (const seq of seqs) {
    if (seq < newest) overtaken += 1;
    newest = Math.max(newest, seq);
  }
  return { lost: head - Math.min(...seqs) + 1 - distinct.size, doubled: seqs.length - distinct.size, overtaken };
}

/** The store of a server that freezes now and then, as a whole machine does: nothing goes out, nothing comes in. */
export function createFreezable(store: Store): { store: Store; freeze: () => void; thaw: () => void } {
  let thawed = Promise.resolve();
  let thaw: () => void = () => undefined;
  const freeze = () => {
    thawed = new Promise((resolve) => (thaw = resolve));
  };
  const delayed = (listener: Listener): Listener => ({
    onAppend: (received) => void thawed.then(() => listener.onAppend(received)),
    onPublish: (signal) => void thawed.then(() => listener.onPublish(signal)),
    onGap: () => void thawed.then(() => listener.onGap()),
  });
  const proxy = new Proxy(store, {
    get(target, name: keyof Store) {
      if (name === 'isWritable') return target.isWritable;
      if (name === 'subscribe') return async (room: string, listener: Listener) => target.subscribe(room, delayed(listener));
      const operation = target[name] as (...asked: unknown[]) => Promise<unknown>;
      return async (...asked: unknown[]) => {
        await thawed;
        return operation.apply(target, asked);
      };
    },
  });
  return { store: proxy, freeze, thaw: () => thaw() };
}
