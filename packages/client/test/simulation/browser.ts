/**
 * A simulated browser of one user in virtual time: its pages share a storage, Web Locks and BroadcastChannels, as in a real one.
 * A page that is killed does nothing more, and releases its locks.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientStorage, TransportAuth, TransportFactory } from '@engawa/client';

/** The delays of a storage in milliseconds; without it, the storage is synchronous, as `localStorage`. */
export interface StorageLatency {
  read: number;
  write: number;
}

interface LockHolder {
  page: Page;
  run: () => void;
}

/** The page whose code runs: it owns the locks and channels. */
const currentPage = new AsyncLocalStorage<Page>();
const CHANNEL_MS = 1;

export class Browser {
  readonly storedItems = new Map<string, string>();
  /** Every key that was ever written: a pending request under one of them must not get lost. */
  readonly writtenKeys = new Set<string>();
  readonly channels = new Set<Channel>();
  readonly #locks = new Map<string, LockHolder[]>();
  readonly #latency: StorageLatency | undefined;

  constructor(latency?: StorageLatency) {
    this.#latency = latency;
  }

  open(): Page {
    return new Page(this, this.#latency);
  }

  /** One page at a time, in the order of the requests. */
  lock<Result>(page: Page, name: string, step: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve) => {
      const run = () => {
        const result = currentPage.run(page, step);
        resolve(result);
        void result.then(() => this.#releaseLock(name, holder));
      };
      const holder = { page, run };
      const line = this.#locks.get(name) ?? [];
      this.#locks.set(name, [...line, holder]);
      if (line.length === 0) setTimeout(run, 0);
    });
  }

  onPageKilled(page: Page): void {
    for (const [name, line] of this.#locks) for (const holder of line) if (holder.page === page) this.#releaseLock(name, holder);
    for (const channel of this.channels) if (channel.page === page) channel.close();
  }

  #releaseLock(name: string, holder: LockHolder): void {
    const line = this.#locks.get(name) ?? [];
    const rest = line.filter((each) => each !== holder);
    this.#locks.set(name, rest);
    const [next] = rest;
    if (line[0] === holder && next) setTimeout(() => next.page.isAlive && next.run(), 0);
  }
}

export class Page {
  isAlive = true;
  isAsleep = false;
  #dropConnection: () => void = () => undefined;
  #reopenConnection: () => void = () => undefined;
  readonly browser: Browser;
  readonly storage: ClientStorage;

  constructor(browser: Browser, times: StorageLatency | undefined) {
    this.browser = browser;
    this.storage = times ? this.#slowStorage(times) : this.#storage();
  }

  /** Runs code as this page. */
  run<Result>(step: () => Result): Result {
    return currentPage.run(this, step);
  }

  /**
   * What a page receives runs in that page, not in the sender's context; a killed page receives nothing. Its requests leave its
   * context: a server continues when a page is killed. While its machine sleeps there is no connection.
   */
  wrapTransport(factory: TransportFactory): TransportFactory {
    return (url, listeners) => {
      const deliver = (listen: () => void) => {
        if (this.isAlive && !this.isAsleep) this.run(listen);
      };
      const link = currentPage.exit(() =>
        factory(url, {
          onConnect: () => deliver(() => listeners.onConnect()),
          onDisconnect: (reason) => deliver(() => listeners.onDisconnect(reason)),
          onRejected: (error) => deliver(() => listeners.onRejected(error)),
          onConnectError: (error) => deliver(() => listeners.onConnectError(error)),
          onEvent: (event, payload) => deliver(() => listeners.onEvent(event, payload)),
        }),
      );
      let auth: TransportAuth | undefined;
      const openNow = () => auth && this.isAlive && !this.isAsleep && currentPage.exit(() => link.open(auth as TransportAuth));
      const closeNow = () => currentPage.exit(() => link.close());
      this.#dropConnection = () => {
        closeNow();
        deliver(() => listeners.onDisconnect('the machine sleeps'));
      };
      this.#reopenConnection = openNow;
      return {
        open: (shown) => {
          auth = shown;
          openNow();
        },
        close: () => {
          auth = undefined;
          closeNow();
        },
        request: (...asked) => currentPage.exit(() => link.request(...asked)),
      };
    };
  }

  sleep(): void {
    if (this.isAsleep) return;
    this.#dropConnection();
    this.isAsleep = true;
  }

  wake(): void {
    this.isAsleep = false;
    this.#reopenConnection();
  }

  /** As if its process was killed: it sends nothing, and nothing that it waits for arrives. */
  kill(): void {
    this.isAlive = false;
    this.#dropConnection();
    this.browser.onPageKilled(this);
  }

  #storage(): ClientStorage {
    const { storedItems, writtenKeys } = this.browser;
    return {
      get length() {
        return storedItems.size;
      },
      key: (index) => [...storedItems.keys()][index] ?? null,
      getItem: (key) => storedItems.get(key) ?? null,
      setItem: (key, value) => {
        if (!this.isAlive) return;
        storedItems.set(key, value);
        writtenKeys.add(key);
      },
      removeItem: (key) => {
        if (this.isAlive) storedItems.delete(key);
      },
    };
  }

  #slowStorage({ read, write }: StorageLatency): ClientStorage {
    const storage = this.#storage();
    const delay = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    return {
      getItem: (key) => delay(read).then(() => storage.getItem(key)),
      setItem: (key, value) => delay(write).then(() => storage.setItem(key, value)),
      removeItem: (key) => delay(write).then(() => storage.removeItem(key)),
      getAllKeys: () => delay(read).then(() => [...this.browser.storedItems.keys()]),
    };
  }
}

class Channel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly name: string;
  readonly page: Page | undefined = currentPage.getStore();

  constructor(name: string) {
    this.name = name;
    this.page?.browser.channels.add(this);
  }

  postMessage(data: unknown): void {
    const { page, name } = this;
    if (!page?.isAlive || !page.browser.channels.has(this)) return;
    const copy = structuredClone(data);
    for (const other of page.browser.channels) {
      if (other === this || other.name !== name) continue;
      setTimeout(() => page.browser.channels.has(other) && other.page?.run(() => other.onmessage?.({ data: copy })), CHANNEL_MS);
    }
  }

  close(): void {
    this.page?.browser.channels.delete(this);
  }
}

const BROWSER_GLOBALS = {
  navigator: {
    locks: {
      request: <Result>(name: string, step: () => Promise<Result>): Promise<Result> => {
        const page = currentPage.getStore();
        return page ? page.browser.lock(page, name, step) : step();
      },
    },
  },
  BroadcastChannel: Channel,
};

/** Installs the globals of browsers. Returns a function that removes them. */
export function installBrowserGlobals(): () => void {
  const before = Object.keys(BROWSER_GLOBALS).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(BROWSER_GLOBALS))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  };
}

/** For timers: their callbacks run in the page that set them. */
export const bindToCurrentPage = (run: () => void): (() => void) => {
  const page = currentPage.getStore();
  return page
    ? () => {
        if (page.isAlive) page.run(run);
      }
    : run;
};
