import { randomUUID } from 'node:crypto';
import { type ImportedValue, importedKey, type Settings, settingsKey } from '../chat/keys.ts';
import { skeletonTickets } from '../chat/rooms.ts';
import { type Decided, draft } from '../chat/rule.ts';
import { type Store, StoreError } from '../store/store.ts';

/** No session has it, for authors are hashes of theirs: what was imported is nobody's to change, and no name is held. */
export const AUTHOR = 'imported';
const OPENER = { username: 'import', author: AUTHOR };

interface Place {
  /** Null while there is no such room. */
  epoch: string | null;
  /** The entry that set the key `imported`. */
  seq: number;
}

/**
 * A room that is filled from a list. How far it is stands in the room itself, under the key `imported`, which moves in
 * the append that moves it: so whatever ends an import, and however much later it goes on, nothing is there twice.
 */
export class Filling {
  readonly roomId: string;
  readonly #store: Store;
  readonly #from: string;
  #place: Place;
  #chats: number;

  private constructor(store: Store, roomId: string, at: { from: string; place: Place; chats: number }) {
    this.#store = store;
    this.roomId = roomId;
    this.#from = at.from;
    this.#place = at.place;
    this.#chats = at.chats;
  }

  /** Undefined when the room is there and was not made by an import from this list. Writes nothing yet. */
  static async find(store: Store, roomId: string, from: string): Promise<Filling | undefined> {
    const { epoch, keys } = await store.read(roomId, { keys: [importedKey] });
    const key = keys.get(importedKey);
    const value = key?.value as ImportedValue | undefined;
    if (epoch !== null && value?.from !== from) return undefined;
    return new Filling(store, roomId, { from, place: { epoch, seq: key?.seq ?? 0 }, chats: value?.chats ?? 0 });
  }

  get isNew(): boolean {
    return this.#place.epoch === null;
  }

  /** How many chats of the list were taken, the oldest first, whether anything came of them or not. */
  get chats(): number {
    return this.#chats;
  }

  /** False when somebody else was first. */
  async open(): Promise<boolean> {
    const settings = { owner: AUTHOR, topic: '' } satisfies Settings;
    return this.#append([draft('create:room', OPENER, {}, { sets: [[settingsKey, settings]], tickets: skeletonTickets(this.roomId) })]);
  }

  /** Adds what came of the next chats of the list. */
  async add(drafts: Decided[], chats: number): Promise<void> {
    this.#chats += chats;
    if (drafts.length === 0 || (await this.#append(drafts))) return;
    throw new StoreError('failed', `Somebody else imports into the room ${JSON.stringify(this.roomId)}; wait for it, then ask again.`);
  }

  async #append(drafts: Decided[]): Promise<boolean> {
    const { epoch, seq } = this.#place;
    const imported = { from: this.#from, chats: this.#chats } satisfies ImportedValue;
    const appended = await this.#store.append(this.roomId, {
      drafts: drafts.map((each, index) => ({
        id: randomUUID(),
        ...each,
        ...(index === drafts.length - 1 && { sets: [...(each.sets ?? []), [importedKey, imported]] }),
      })),
      epoch,
      given: [[importedKey, seq]],
    });
    if (appended.outcome === 'stale') return false;
    this.#place = { epoch: appended.epoch, seq: appended.entries.at(-1)?.seq ?? seq };
    return true;
  }
}
