/** The store that test nodes share, with a replica that lags behind and a faulty network. */
import { type AppendNotice, type AppendRequest, type Listener, type MemoryStore, openMemory, type Store } from '@engawa/server';
import type { Faults } from './faults.ts';
import { Pipe } from './pipe.ts';
import type { Random } from './random.ts';

interface Subscription {
  room: string;
  listener: Listener;
  unsubscribe: () => void;
}

/** The store of all nodes, and a replica that is copied on demand. */
export class SharedStore {
  #primary: MemoryStore = openMemory();
  #replica: MemoryStore = openMemory();
  readonly #subscriptions = new Set<Subscription>();

  get primary(): Store {
    return this.#primary;
  }

  /** Brings the replica up to date with the primary. */
  replicate(): void {
    this.#replica = this.#primary.copy();
  }

  /** The replica becomes the primary. Writes that were not replicated are lost, and no node is notified. */
  async failOver(): Promise<void> {
    this.#primary = this.#replica.copy();
    for (const subscription of this.#subscriptions) await this.#attach(subscription);
  }

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    const subscription: Subscription = { room, listener, unsubscribe: () => undefined };
    this.#subscriptions.add(subscription);
    await this.#attach(subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      subscription.unsubscribe();
    };
  }

  async #attach(subscription: Subscription): Promise<void> {
    subscription.unsubscribe();
    subscription.unsubscribe = await this.#primary.subscribe(subscription.room, subscription.listener);
  }
}

interface NodeStoreOptions {
  shared: SharedStore;
  faults: () => Faults;
  random: Random;
  /** A killed process does nothing more: its operations never resolve. */
  isAlive: () => boolean;
}

/** The shared store as one node sees it: its own appends at once, those of other nodes over a faulty network. */
export function createNodeStore({ shared, faults, random, isAlive }: NodeStoreOptions): Store {
  const ownEntryIds = new Set<string>();
  const never = new Promise<never>(() => undefined);
  const whileAlive = async <Result>(operate: () => Promise<Result>): Promise<Result> => {
    if (!isAlive()) return never;
    await simulateLatency(random, faults());
    if (!isAlive()) return never;
    const result = await operate();
    await simulateLatency(random, faults());
    return isAlive() ? result : never;
  };

  return new Proxy(shared.primary, {
    get(_, name: keyof Store) {
      if (name === 'isWritable') return isAlive();
      if (name === 'subscribe') {
        return (room: string, listener: Listener) =>
          whileAlive(() => shared.subscribe(room, overFaultyNetwork({ listener, ownEntryIds, faults, random, isAlive })));
      }
      return (...args: never[]) =>
        whileAlive(async () => {
          const appends = name === 'append' ? (args[1] as unknown as AppendRequest).drafts : [];
          for (const { id } of appends) ownEntryIds.add(id);
          const operation = shared.primary[name] as (...args: never[]) => Promise<unknown>;
          return operation.apply(shared.primary, args).finally(() => {
            for (const { id } of appends) ownEntryIds.delete(id);
          });
        });
    },
  });
}

function overFaultyNetwork({
  listener,
  ownEntryIds,
  faults,
  random,
  isAlive,
}: { listener: Listener; ownEntryIds: Set<string> } & Omit<NodeStoreOptions, 'shared'>): Listener {
  const pipe = new Pipe<() => void>({ faults, random, deliver: (tell) => isAlive() && tell() });
  const isOwn = ({ entries }: AppendNotice): boolean => entries.some(({ id }) => ownEntryIds.has(id));
  return {
    onAppend(notice) {
      if (!isAlive()) return;
      if (isOwn(notice)) listener.onAppend(notice);
      else pipe.send(() => listener.onAppend(structuredClone(notice)));
    },
    onPublish(signal) {
      pipe.send(() => listener.onPublish(signal));
    },
    onGap() {
      if (isAlive()) listener.onGap();
    },
  };
}

/** Operations of a real store take time, so that others run in between. */
function simulateLatency(random: Random, { delayMs: [, maxMs] }: Faults): Promise<void> {
  if (maxMs === 0) return Promise.resolve();
  return new Promise((resolve) => setTimeout(resolve, random() * Math.min(maxMs, 5)));
}
