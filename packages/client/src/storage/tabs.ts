/** What the tabs of one browser share: locks, channels, and a sequential queue for each key. */

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

/** Runs the operations of one key one after the other, in this process. They must not reject. */
export function runSequentially<Result>(key: unknown, operation: () => Promise<Result>): Promise<Result> {
  const previous = queues.get(key);
  const done = previous ? previous.then(operation) : operation();
  queues.set(key, done);
  void done.then(() => queues.get(key) === done && queues.delete(key));
  return done;
}

/** Whether the tabs that share a storage can use locks. Browsers have none in pages that were loaded without HTTPS. */
export const canCoordinate = (): boolean => !browser.document || browser.navigator?.locks !== undefined;

/** Runs the operation under a lock over all tabs; without locks, only over the clients of this page. */
export function withLock<Result>(name: string, operation: () => Promise<Result>): Promise<Result> {
  const { locks } = browser.navigator ?? {};
  // In a sandboxed page `locks` may exist and reject every request.
  return locks ? locks.request(name, operation).catch(operation) : runSequentially(name, operation);
}

/** After concurrent writes each tab may first read its own value. Resolves when all tabs read the same one. */
export const waitForStorageSync = (): Promise<unknown> | undefined =>
  browser.document && new Promise((resolve) => setTimeout(resolve, STORAGE_SYNC_MS));

export function openChannel<Note>(name: string, onMessage: (note: Note) => void): Channel<Note> | undefined {
  if (!browser.BroadcastChannel) return undefined;
  const channel = new browser.BroadcastChannel(name) as Channel<Note>;
  channel.unref?.();
  channel.onmessage = ({ data }) => onMessage(data);
  return channel;
}
