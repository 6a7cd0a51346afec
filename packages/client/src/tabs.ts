/** What the tabs of one browser have in common beside their storage; nothing of it in Node. */

interface Channel<Note> {
  onmessage: ((event: { data: Note }) => void) | null;
  postMessage(note: Note): void;
  close(): void;
  unref?(): void;
}

interface Page {
  navigator?: { locks?: { request<Result>(name: string, step: () => Promise<Result>): Promise<Result> } };
  BroadcastChannel?: new (name: string) => unknown;
  document?: object;
}

const page = globalThis as unknown as Page;
const SETTLE_MS = 200;

const turns = new Map<unknown, Promise<unknown>>();

/** What is done under one key, in this process, is done one after the other; none of it may fail. */
export function inTurn<Result>(key: unknown, step: () => Promise<Result>): Promise<Result> {
  const before = turns.get(key);
  const done = before ? before.then(step) : step();
  turns.set(key, done);
  void done.then(() => turns.get(key) === done && turns.delete(key));
  return done;
}

/** Whether the clients that share a storage take turns. Pages that were not loaded over HTTPS cannot. */
export const takesTurns = (): boolean => !page.document || page.navigator?.locks !== undefined;

/** While no other tab does something under this name, where they can agree on that; else no other client of this page. */
export function alone<Result>(name: string, step: () => Promise<Result>): Promise<Result> {
  const { locks } = page.navigator ?? {};
  // A page in a sandbox may have no locks although they are there.
  return locks ? locks.request(name, step).catch(step) : inTurn(name, step);
}

/** Tabs that write at the same time may each see what they wrote themselves. Resolves when all see the same. */
export const settled = (): Promise<unknown> | undefined => page.document && new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

export function openChannel<Note>(name: string, heard: (note: Note) => void): Channel<Note> | undefined {
  if (!page.BroadcastChannel) return undefined;
  const channel = new page.BroadcastChannel(name) as Channel<Note>;
  channel.unref?.();
  channel.onmessage = ({ data }) => heard(data);
  return channel;
}
