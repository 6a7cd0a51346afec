import { areStrings } from './entry.ts';
import type { Refusal } from './result.ts';
import type { Shelf } from './storage.ts';
import { alone, openChannel } from './tabs.ts';

/** Where the room has something. */
export interface Place {
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
  error?: Refusal | undefined;
}

/** What one page tells the others of the same person. */
export interface Note {
  clientId: string;
  /** It waits, or has failed; else it waits no more. */
  request?: StoredRequest | undefined;
  /** It was sent. */
  place?: Place | undefined;
}

interface Options {
  shelf: Shelf;
  roomId: string;
  /** The person. */
  session: string;
  life: string;
  heard: (note: Note) => void;
  /** What another life has left behind may be sent now: as it is in the storage, since its last words may not have been heard. */
  inherited: (left: StoredRequest[]) => void;
}

/**
 * What waits to be sent in a room, as all pages of one person share it. Each page sends what it wrote itself, and holds a lock
 * while it lives; what a page has left behind is sent by the one that gets its lock next. Without locks all of
 * them send it, each chat alone: the room keeps it once.
 */
export class Unsent {
  readonly life: string;
  readonly #options: Options;
  readonly #name: string;
  readonly #group: string;
  readonly #channel: ReturnType<typeof openChannel<Note>>;
  readonly #held = new Map<string, boolean>();
  /** What was heard to wait no more before all was loaded. */
  #gone: Set<string> | undefined = new Set();
  #end: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(options: Options) {
    const { shelf, roomId, session, life, heard } = options;
    this.#options = options;
    this.life = life;
    this.#name = `engawa:${session}:${roomId}`;
    this.#group = `unsent:${roomId}:`;
    this.#channel =
      shelf.storage &&
      openChannel<Note>(this.#name, (note) => {
        if (!note.request) this.#gone?.add(note.clientId);
        heard(note);
      });
  }

  /** All, or what one life has written, in the order in which it was written. */
  async load(life?: string): Promise<StoredRequest[]> {
    const found = (await this.#options.shelf.list(this.#group)).filter(isStoredRequest);
    const gone = this.#gone;
    this.#gone = undefined;
    return found.filter((each) => !gone?.has(each.clientId) && (life ?? each.life) === each.life).sort((one, other) => one.at - other.at);
  }

  /** Writes down what waits, or takes away what waits no more. Resolves when that is done, as far as it can be. */
  tell(note: Note): Promise<unknown> {
    if (note.request) this.maySend(this.life);
    const done = this.#options.shelf.put(this.#group, note.clientId, note.request);
    // A page that begins now has read it, or hears it. This one may have ended by then.
    done.then(() => this.#channel?.postMessage(note)).catch(() => undefined);
    return done;
  }

  /** Whether it is this page that sends what a life has written. If not, it is told when it is. */
  maySend(life: string): boolean {
    const isOwn = life === this.life;
    if (!this.#held.has(life)) {
      this.#held.set(life, isOwn);
      void alone(`${this.#name}:${life}`, async () => {
        if (!isOwn) {
          const left = await this.load(life);
          this.#held.set(life, true);
          this.#options.inherited(left);
        }
        return this.#ended;
      });
    }
    return this.#held.get(life) === true;
  }

  close(): void {
    void this.#options.shelf.settled().then(() => {
      this.#channel?.close();
      this.#end();
    });
  }
}

function isStoredRequest(value: unknown): value is StoredRequest {
  const { clientId, fields, at, epoch, life } = (value ?? {}) as Partial<StoredRequest>;
  return areStrings(clientId, epoch, life) && Number.isFinite(at) && fields instanceof Object;
}
