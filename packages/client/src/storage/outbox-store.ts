import type { ErrorInfo } from '../connection/result.ts';
import { areStrings } from '../timeline/entry.ts';
import type { SafeStorage } from './storage.ts';
import { openChannel, withLock } from './tabs.ts';

/** Where the room has something. */
export interface EntryRef {
  epoch: string;
  seq: number;
  id?: string | undefined;
}

/** What may wait to be sent. */
export type OutgoingEvent = 'create:chat' | 'update:chat' | 'delete:chat' | 'add:reaction' | 'remove:reaction';

/** As much of a request as outlives a page, under a key of its own. */
export interface StoredRequest {
  event: OutgoingEvent;
  clientId: string;
  /** What it asks beside room, name and client id. */
  fields: { message?: string; replyTo?: number; chatSeq?: number; reaction?: string };
  at: number;
  /** The log that it was written for; what seqs mean they mean there. */
  epoch: string;
  /** The `id` of the chat that it changes. */
  chatId?: string | undefined;
  /** Who sends it: one room object of one page. */
  life: string;
  username: string;
  /** The client id of the packet in which it was tried, which is that of the first chat of it, and its place there. */
  packet?: string | undefined;
  index?: number;
  /** Why it failed. */
  error?: ErrorInfo | undefined;
}

/** What one page tells the others of the same person. */
export interface OutboxUpdate {
  clientId: string;
  /** It waits, or has failed; else it waits no more. */
  request?: StoredRequest | undefined;
  /** It was sent. */
  place?: EntryRef | undefined;
}

interface OutboxStoreOptions {
  storage: SafeStorage;
  roomId: string;
  /** The person. */
  session: string;
  instanceId: string;
  onUpdate: (note: OutboxUpdate) => void;
  /** What another life has left behind may be sent now: as it is in the storage, since its last words may not have been heard. */
  onTakeover: (requests: StoredRequest[]) => void;
}

/**
 * What waits to be sent in a room, as all pages of one person share it. Each page sends what it wrote itself, and holds a lock
 * while it lives; what a page has left behind is sent by the one that gets its lock next. Without locks all of
 * them send it, each chat alone: the room keeps it once.
 */
export class OutboxStore {
  readonly instanceId: string;
  readonly #options: OutboxStoreOptions;
  readonly #channelName: string;
  readonly #keyPrefix: string;
  readonly #channel: ReturnType<typeof openChannel<OutboxUpdate>>;
  readonly #lockedInstances = new Map<string, boolean>();
  /** What was heard to wait no more before all was loaded. */
  #removedDuringLoad: Set<string> | undefined = new Set();
  #resolveClosed: () => void = () => undefined;
  readonly #closed = new Promise<void>((resolve) => {
    this.#resolveClosed = resolve;
  });

  constructor(options: OutboxStoreOptions) {
    const { storage, roomId, session, instanceId, onUpdate } = options;
    this.#options = options;
    this.instanceId = instanceId;
    this.#channelName = `engawa:${session}:${roomId}`;
    this.#keyPrefix = `unsent:${roomId}:`;
    this.#channel =
      storage.backend &&
      openChannel<OutboxUpdate>(this.#channelName, (note) => {
        if (!note.request) this.#removedDuringLoad?.add(note.clientId);
        onUpdate(note);
      });
  }

  /** All, or what one life has written, in the order in which it was written. */
  async load(instanceId?: string): Promise<StoredRequest[]> {
    const found = (await this.#options.storage.list(this.#keyPrefix)).filter(isStoredRequest);
    const removed = this.#removedDuringLoad;
    this.#removedDuringLoad = undefined;
    return found
      .filter((each) => !removed?.has(each.clientId) && (instanceId ?? each.life) === each.life)
      .sort((one, other) => one.at - other.at);
  }

  /** Writes down what waits, or takes away what waits no more. Resolves when that is done, as far as it can be. */
  save(note: OutboxUpdate): Promise<unknown> {
    if (note.request) this.isSenderFor(this.instanceId);
    const saving = this.#options.storage.put(this.#keyPrefix, note.clientId, note.request);
    // A page that begins now has read it, or hears it. This one may have ended by then.
    saving.then(() => this.#channel?.postMessage(note)).catch(() => undefined);
    return saving;
  }

  /** Whether it is this page that sends what a life has written. If not, it is told when it is. */
  isSenderFor(instanceId: string): boolean {
    const isOwn = instanceId === this.instanceId;
    if (!this.#lockedInstances.has(instanceId)) {
      this.#lockedInstances.set(instanceId, isOwn);
      void withLock(`${this.#channelName}:${instanceId}`, async () => {
        if (!isOwn) {
          const requests = await this.load(instanceId);
          this.#lockedInstances.set(instanceId, true);
          this.#options.onTakeover(requests);
        }
        return this.#closed;
      });
    }
    return this.#lockedInstances.get(instanceId) === true;
  }

  close(): void {
    void this.#options.storage.drain().then(() => {
      this.#channel?.close();
      this.#resolveClosed();
    });
  }
}

function isStoredRequest(value: unknown): value is StoredRequest {
  const { clientId, fields, at, epoch, life } = (value ?? {}) as Partial<StoredRequest>;
  return areStrings(clientId, epoch, life) && Number.isFinite(at) && fields instanceof Object;
}
