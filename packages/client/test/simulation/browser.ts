/**
 * One browser of one person in virtual time: its pages share a storage, locks and channels, as those of a real one do. A page that
 * is killed does nothing more, and lets go of its locks.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientStorage, LinkAuth, LinkFactory } from '@engawa/client';

/** Milliseconds that a storage takes; without it, it is one that answers at once, as `localStorage`. */
export interface StorageTimes {
  read: number;
  write: number;
}

interface Holder {
  page: Page;
  run: () => void;
}

/** The page whose code runs: locks and channels are its. */
const running = new AsyncLocalStorage<Page>();
const CHANNEL_MS = 1;

export class Browser {
  readonly kept = new Map<string, string>();
  /** Every key that was ever written: what was to be sent and is under one may not get lost. */
  readonly written = new Set<string>();
  readonly channels = new Set<Channel>();
  readonly #locks = new Map<string, Holder[]>();
  readonly #times: StorageTimes | undefined;

  constructor(times?: StorageTimes) {
    this.#times = times;
  }

  open(): Page {
    return new Page(this, this.#times);
  }

  /** Held by one page at a time, in the order in which they ask. */
  lock<Result>(page: Page, name: string, step: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve) => {
      const run = () => {
        const result = running.run(page, step);
        resolve(result);
        void result.then(() => this.#letGo(name, holder));
      };
      const holder = { page, run };
      const line = this.#locks.get(name) ?? [];
      this.#locks.set(name, [...line, holder]);
      if (line.length === 0) setTimeout(run, 0);
    });
  }

  killed(page: Page): void {
    for (const [name, line] of this.#locks) for (const holder of line) if (holder.page === page) this.#letGo(name, holder);
    for (const channel of this.channels) if (channel.page === page) channel.close();
  }

  #letGo(name: string, holder: Holder): void {
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
  #cut: () => void = () => undefined;
  #open: () => void = () => undefined;
  readonly browser: Browser;
  readonly storage: ClientStorage;

  constructor(browser: Browser, times: StorageTimes | undefined) {
    this.browser = browser;
    this.storage = times ? this.#slowStorage(times) : this.#storage();
  }

  /** Runs code as this page. */
  run<Result>(step: () => Result): Result {
    return running.run(this, step);
  }

  /**
   * What a page is told runs in it, and not in what told it; a page that was killed is told nothing. What it asks leaves the page:
   * a server goes on when a page is killed. While its machine sleeps there is no connection.
   */
  link(factory: LinkFactory): LinkFactory {
    return (url, listeners) => {
      const tell = (listen: () => void) => {
        if (this.isAlive && !this.isAsleep) this.run(listen);
      };
      const link = running.exit(() =>
        factory(url, {
          up: () => tell(() => listeners.up()),
          down: (reason) => tell(() => listeners.down(reason)),
          refused: (error) => tell(() => listeners.refused(error)),
          failed: (error) => tell(() => listeners.failed(error)),
          heard: (event, payload) => tell(() => listeners.heard(event, payload)),
        }),
      );
      let auth: LinkAuth | undefined;
      const openNow = () => auth && this.isAlive && !this.isAsleep && running.exit(() => link.open(auth as LinkAuth));
      const closeNow = () => running.exit(() => link.close());
      this.#cut = () => {
        closeNow();
        tell(() => listeners.down('the machine sleeps'));
      };
      this.#open = openNow;
      return {
        open: (shown) => {
          auth = shown;
          openNow();
        },
        close: () => {
          auth = undefined;
          closeNow();
        },
        ask: (...asked) => running.exit(() => link.ask(...asked)),
      };
    };
  }

  sleep(): void {
    if (this.isAsleep) return;
    this.#cut();
    this.isAsleep = true;
  }

  wake(): void {
    this.isAsleep = false;
    this.#open();
  }

  /** As when its process is ended: nothing is said, and nothing that it waits for comes. */
  kill(): void {
    this.isAlive = false;
    this.#cut();
    this.browser.killed(this);
  }

  #storage(): ClientStorage {
    const { kept, written } = this.browser;
    return {
      get length() {
        return kept.size;
      },
      key: (index) => [...kept.keys()][index] ?? null,
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => {
        if (!this.isAlive) return;
        kept.set(key, value);
        written.add(key);
      },
      removeItem: (key) => {
        if (this.isAlive) kept.delete(key);
      },
    };
  }

  #slowStorage({ read, write }: StorageTimes): ClientStorage {
    const storage = this.#storage();
    const after = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    return {
      getItem: (key) => after(read).then(() => storage.getItem(key)),
      setItem: (key, value) => after(write).then(() => storage.setItem(key, value)),
      removeItem: (key) => after(write).then(() => storage.removeItem(key)),
      getAllKeys: () => after(read).then(() => [...this.browser.kept.keys()]),
    };
  }
}

class Channel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly name: string;
  readonly page: Page | undefined = running.getStore();

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

const GLOBALS = {
  navigator: {
    locks: {
      request: <Result>(name: string, step: () => Promise<Result>): Promise<Result> => {
        const page = running.getStore();
        return page ? page.browser.lock(page, name, step) : step();
      },
    },
  },
  BroadcastChannel: Channel,
};

/** Gives this process what browsers have; returns what takes it away again. */
export function install(): () => void {
  const before = Object.keys(GLOBALS).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(GLOBALS))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  };
}

/** For timers: what they run later runs in the page that set them. */
export const inSamePage = (run: () => void): (() => void) => {
  const page = running.getStore();
  return page
    ? () => {
        if (page.isAlive) page.run(run);
      }
    : run;
};
