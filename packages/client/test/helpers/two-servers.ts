import { type Faults, randomFrom } from '@engawa/client/testing';
import type { Listener, Store } from '@engawa/server';
import { CALM } from '#testing/faults.js';
import { nodeStore, SharedStore } from '#testing/shared-store.js';
import { type Running, startServer, withFault } from '../../../server/test/helpers/server.ts';
import { anotherFor, isOnRedis, newStore } from '../../../server/test/helpers/stores.ts';

/** What one server was told of a room by the store that it shares, as it came. */
interface Telling {
  seqs: number[];
}

interface TwoServers {
  servers: [Running, Running];
  /** To look into. */
  store: Store;
}

/** Two servers on the same rooms, which are told over a network what the other one appends. */
export async function startTwoServers(seed: number): Promise<TwoServers> {
  if (!isOnRedis) return startStormyServers(seed);
  const store = await newStore();
  const [first, second] = [
    await startServer({ store, limits: 'off' }),
    await startServer({ store: await anotherFor(store), limits: 'off' }),
  ];
  return { servers: [first, second], store };
}

/** The same on a store in memory: what one appends is told to the other late, and as badly as the weather is. */
export async function startStormyServers(
  seed: number,
  weather: Partial<Faults> = {},
): Promise<TwoServers & { tellings: [Telling, Telling] }> {
  const shared = new SharedStore();
  const faults = (): Faults => ({ ...CALM, delayMs: [0, 20], ...weather });
  const start = async (which: number): Promise<[Running, Telling]> => {
    const telling: Telling = { seqs: [] };
    const store = nodeStore({ shared, faults, random: randomFrom(seed + which), isAlive: () => true });
    return [await startServer({ store: listenedTo(store, telling), limits: 'off' }), telling];
  };
  const [[first, toFirst], [second, toSecond]] = [await start(0), await start(1)];
  return { servers: [first, second], tellings: [toFirst, toSecond], store: shared.primary };
}

function listenedTo(store: Store, { seqs }: Telling): Store {
  const subscribe: Store['subscribe'] = (room, listener) =>
    store.subscribe(room, {
      appended: (told) => {
        seqs.push(...told.entries.map(({ seq }) => seq));
        listener.appended(told);
      },
      announced: (signal) => listener.announced(signal),
      missed: () => listener.missed(),
    });
  return withFault(store, { subscribe });
}

/** How what a server was told differs from the log. */
export function flawsOf({ seqs }: Telling, head: number): { lost: number; doubled: number; overtaken: number } {
  const known = new Set(seqs);
  let newest = 0;
  let overtaken = 0;
  for (const seq of seqs) {
    if (seq < newest) overtaken += 1;
    newest = Math.max(newest, seq);
  }
  return { lost: head - Math.min(...seqs) + 1 - known.size, doubled: seqs.length - known.size, overtaken };
}

/** The store as a server sees it that stops now and then, as a whole machine does: nothing goes out, nothing comes in. */
export function freezable(store: Store): { store: Store; freeze: () => void; thaw: () => void } {
  let thawed = Promise.resolve();
  let thaw: () => void = () => undefined;
  const freeze = () => {
    thawed = new Promise((resolve) => (thaw = resolve));
  };
  const later = (listener: Listener): Listener => ({
    appended: (told) => void thawed.then(() => listener.appended(told)),
    announced: (signal) => void thawed.then(() => listener.announced(signal)),
    missed: () => void thawed.then(() => listener.missed()),
  });
  const seen = new Proxy(store, {
    get(target, name: keyof Store) {
      if (name === 'writable') return target.writable;
      if (name === 'subscribe') return async (room: string, listener: Listener) => target.subscribe(room, later(listener));
      const operation = target[name] as (...asked: unknown[]) => Promise<unknown>;
      return async (...asked: unknown[]) => {
        await thawed;
        return operation.apply(target, asked);
      };
    },
  });
  return { store: seen, freeze, thaw: () => thaw() };
}
