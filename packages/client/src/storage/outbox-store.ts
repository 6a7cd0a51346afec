/** The outbox store: what waits to be sent in a room, stored and shared by all tabs of one user. */
import type { ErrorInfo } from '../connection/result.ts';
import { areStrings } from '../timeline/entry.ts';
import type { SafeStorage } from './storage.ts';
import { openChannel, withLock } from './tabs.ts';

/** The position of an entry in a room. */
export interface EntryRef {
  epoch: string;
  seq: number;
  id?: string | undefined;
}

/** The commands that can wait in an outbox. */
export type OutgoingEvent = 'create:chat' | 'update:chat' | 'delete:chat' | 'add:reaction' | 'remove:reaction';

/** A request in the storage, under its own key. */
export interface StoredRequest {
  event: OutgoingEvent;
  clientId: string;
  /** The payload without room, name and client id. */
  fields: { message?: string; replyTo?: number; chatSeq?: number; reaction?: string };
  at: number;
  /** The log that it was written for, and that its seqs refer to. */
  epoch: string;
  /** The `id` of the chat that it changes. */
  chatId?: string | undefined;
  /** The instance that sends it: one room object of one page. */
  life: string;
  username: string;
  /** The packet in which it was tried: the client id of its first chat, and the index in it. */
  packet?: string | undefined;
  index?: number | undefined;
  /** Why it failed. */
  error?: ErrorInfo | undefined;
}

/** A message to the other pages of the same user. */
export interface OutboxUpdate {
  clientId: string;
  /** Set while the request is pending or failed; without it the request is removed. */
  request?: StoredRequest | undefined;
  /** Set when it was sent. */
  place?: EntryRef | undefined;
}

interface OutboxStoreOptions {
  storage: SafeStorage;
  roomId: string;
  /** Identifies the user. */
  session: string;
  instanceId: string;
  onUpdate: (note: OutboxUpdate) => void;
  /**
   * The requests of an instance that has ended, to be sent by this one. They are read from the storage, since its last messages
   * may not have arrived.
   */
  onTakeover: (requests: StoredRequest[]) => void;
}

/**
 * The pending requests of a room, shared by all pages of one user. Each instance sends its own requests, and holds a lock while
 * it exists. When it ends, the next one to get its lock sends the rest. Without locks all instances send them, each chat alone:
 * the room stores each once.
 */
export class OutboxStore {
  readonly instanceId: string;
  readonly #options: OutboxStoreOptions;
  readonly #channelName: string;
  readonly #keyPrefix: string;
  readonly #channel: ReturnType<typeof openChannel<OutboxUpdate>>;
  readonly #lockedInstances = new Map<string, boolean>();
  /** Removed by another page before the first load has finished. */
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

  /** All requests, or those of one instance, in the order of writing. */
  async load(instanceId?: string): Promise<StoredRequest[]> {
    const found = (await this.#options.storage.list(this.#keyPrefix)).filter(isStoredRequest);
    const removed = this.#removedDuringLoad;
    this.#removedDuringLoad = undefined;
    return found
      .filter((each) => !removed?.has(each.clientId) && (instanceId ?? each.life) === each.life)
      .sort((one, other) => one.at - other.at);
  }

  /** Stores or removes a request, then tells the other pages. Resolves when that is done. */
  save(note: OutboxUpdate): Promise<unknown> {
    if (note.request) this.isSenderFor(this.instanceId);
    const saving = this.#options.storage.put(this.#keyPrefix, note.clientId, note.request);
    // Notify after the write: a page that starts now reads it or receives the message. The channel may be closed by then.
    saving.then(() => this.#channel?.postMessage(note)).catch(() => undefined);
    return saving;
  }

  /** Whether this instance sends the requests of another one. If not yet, `onTakeover` is called when it does. */
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
