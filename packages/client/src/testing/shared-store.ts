import { type Append, type Listener, type MemoryStore, openMemory, type Store, type Told } from '@engawa/server';
import type { Faults } from './faults.ts';
import { Pipe } from './pipe.ts';
import type { Random } from './random.ts';

interface Subscription {
  room: string;
  listener: Listener;
  leave: () => void;
}

/** The store that all nodes share, with a copy that lags behind, as a replica does. */
export class SharedStore {
  #primary: MemoryStore = openMemory();
  #replica: MemoryStore = openMemory();
  readonly #subscriptions = new Set<Subscription>();

  get primary(): Store {
    return this.#primary;
  }

  /** The replica has everything that the primary has. */
  replicate(): void {
    this.#replica = this.#primary.copy();
  }

  /** The primary is gone, and with it what was not replicated: nobody is told. */
  async failOver(): Promise<void> {
    this.#primary = this.#replica.copy();
    for (const subscription of this.#subscriptions) await this.#attach(subscription);
  }

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    const subscription: Subscription = { room, listener, leave: () => undefined };
    this.#subscriptions.add(subscription);
    await this.#attach(subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      subscription.leave();
    };
  }

  async #attach(subscription: Subscription): Promise<void> {
    subscription.leave();
    subscription.leave = await this.#primary.subscribe(subscription.room, subscription.listener);
  }
}

interface NodeStoreOptions {
  shared: SharedStore;
  faults: () => Faults;
  random: Random;
  /** A process that was killed does nothing more, and is answered nothing. */
  isAlive: () => boolean;
}

/** The shared store as one node sees it: at once what it appends itself, what others append over a network. */
export function nodeStore({ shared, faults, random, isAlive }: NodeStoreOptions): Store {
  const own = new Set<string>();
  const never = new Promise<never>(() => undefined);
  const whileAlive = async <Result>(operate: () => Promise<Result>): Promise<Result> => {
    if (!isAlive()) return never;
    await passTime(random, faults());
    if (!isAlive()) return never;
    const result = await operate();
    await passTime(random, faults());
    return isAlive() ? result : never;
  };

  return new Proxy(shared.primary, {
    get(_, name: keyof Store) {
      if (name === 'writable') return isAlive();
      if (name === 'subscribe') {
        return (room: string, listener: Listener) =>
          whileAlive(() => shared.subscribe(room, overNetwork({ listener, own, faults, random, isAlive })));
      }
      return (...args: never[]) =>
        whileAlive(async () => {
          const appends = name === 'append' ? (args[1] as unknown as Append).drafts : [];
          for (const { id } of appends) own.add(id);
          const operation = shared.primary[name] as (...args: never[]) => Promise<unknown>;
          return operation.apply(shared.primary, args).finally(() => {
            for (const { id } of appends) own.delete(id);
          });
        });
    },
  });
}

function overNetwork({
  listener,
  own,
  faults,
  random,
  isAlive,
}: { listener: Listener; own: Set<string> } & Omit<NodeStoreOptions, 'shared'>): Listener {
  const pipe = new Pipe<() => void>({ faults, random, deliver: (tell) => isAlive() && tell() });
  const isOwn = ({ entries }: Told): boolean => entries.some(({ id }) => own.has(id));
  return {
    appended(told) {
      if (!isAlive()) return;
      if (isOwn(told)) listener.appended(told);
      else pipe.send(() => listener.appended(structuredClone(told)));
    },
    announced(signal) {
      pipe.send(() => listener.announced(signal));
    },
    missed() {
      if (isAlive()) listener.missed();
    },
  };
}

/** Operations of a real store take time, so that others come between. */
function passTime(random: Random, { delayMs: [, most] }: Faults): Promise<void> {
  if (most === 0) return Promise.resolve();
  return new Promise((resolve) => setTimeout(resolve, random() * Math.min(most, 5)));
}
