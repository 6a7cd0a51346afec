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

/** While no other tab does something under this name, where they can agree on that; else at once. */
export function alone<Result>(name: string, step: () => Promise<Result>): Promise<Result> {
  const { locks } = page.navigator ?? {};
  // A page in a sandbox may have no locks although they are there.
  return locks ? locks.request(name, step).catch(step) : step();
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
