/** What the tabs of one browser have in common beside their storage; nothing of it in Node. */

interface Channel<Note> {
  onmessage: ((event: { data: Note }) => void) | null;
  postMessage(note: Note): void;
  close(): void;
  unref?(): void;
}

interface BrowserGlobals {
  navigator?: { locks?: { request<Result>(name: string, operation: () => Promise<Result>): Promise<Result> } };
  BroadcastChannel?: new (name: string) => unknown;
  document?: object;
}

const browser = globalThis as unknown as BrowserGlobals;
const STORAGE_SYNC_MS = 200;

const queues = new Map<unknown, Promise<unknown>>();

/** What is done under one key, in this process, is done one after the other; none of it may fail. */
export function runSequentially<Result>(key: unknown, operation: () => Promise<Result>): Promise<Result> {
  const previous = queues.get(key);
  const done = previous ? previous.then(operation) : operation();
  queues.set(key, done);
  void done.then(() => queues.get(key) === done && queues.delete(key));
  return done;
}

/** Whether the clients that share a storage take turns. Pages that were not loaded over HTTPS cannot. */
export const canCoordinate = (): boolean => !browser.document || browser.navigator?.locks !== undefined;

/** While no other tab does something under this name, where they can agree on that; else no other client of this page. */
export function withLock<Result>(name: string, operation: () => Promise<Result>): Promise<Result> {
  const { locks } = browser.navigator ?? {};
  // A page in a sandbox may have no locks although they are there.
  return locks ? locks.request(name, operation).catch(operation) : runSequentially(name, operation);
}

/** Tabs that write at the same time may each see what they wrote themselves. Resolves when all see the same. */
export const waitForStorageSync = (): Promise<unknown> | undefined =>
  browser.document && new Promise((resolve) => setTimeout(resolve, STORAGE_SYNC_MS));

export function openChannel<Note>(name: string, onMessage: (note: Note) => void): Channel<Note> | undefined {
  if (!browser.BroadcastChannel) return undefined;
  const channel = new browser.BroadcastChannel(name) as Channel<Note>;
  channel.unref?.();
  channel.onmessage = ({ data }) => onMessage(data);
  return channel;
}
