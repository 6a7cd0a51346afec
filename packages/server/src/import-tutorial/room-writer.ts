/** Writes imported chats into a room, and stores the progress of the import in the room. */
import { randomUUID } from 'node:crypto';
import { type DraftEntry, draftEntry } from '../domain/command.ts';
import { type ImportedValue, importedKey, type RoomSettings, settingsKey } from '../domain/room-keys.ts';
import { skeletonTickets } from '../domain/rooms.ts';
import { type Store, StoreError } from '../store/contract.ts';

/**
 * The author of imported entries. Authors are hashes of sessions, so no session has this one: no client can change imported chats,
 * and no name is reserved.
 */
export const IMPORT_AUTHOR = 'imported';
const IMPORT_MEMBER = { username: 'import', author: IMPORT_AUTHOR };

interface WritePosition {
  /** Null until the room exists. */
  epoch: string | null;
  /** The seq of the entry that set the key `imported`. */
  seq: number;
}

/**
 * Fills one room from a list of chats. The key `imported` of the room stores the progress, and changes in the same append as the
 * chats. So an import that was interrupted can continue at any time without duplicates.
 */
export class RoomWriter {
  readonly roomId: string;
  readonly #store: Store;
  readonly #source: string;
  #position: WritePosition;
  #importedChats: number;

  private constructor(store: Store, roomId: string, state: { from: string; position: WritePosition; chats: number }) {
    this.#store = store;
    this.roomId = roomId;
    this.#source = state.from;
    this.#position = state.position;
    this.#importedChats = state.chats;
  }

  /** Undefined if the room exists and was not created by an import of this source. Writes nothing. */
  static async find(store: Store, roomId: string, source: string): Promise<RoomWriter | undefined> {
    const { epoch, keys } = await store.read(roomId, { keys: [importedKey] });
    const key = keys.get(importedKey);
    const value = key?.value as ImportedValue | undefined;
    if (epoch !== null && value?.from !== source) return undefined;
    return new RoomWriter(store, roomId, { from: source, position: { epoch, seq: key?.seq ?? 0 }, chats: value?.chats ?? 0 });
  }

  get isNew(): boolean {
    return this.#position.epoch === null;
  }

  /** How many chats of the list were handled, oldest first, whether imported or left out. */
  get importedChats(): number {
    return this.#importedChats;
  }

  /** Returns false if another client created the room first. */
  async createRoom(): Promise<boolean> {
    const settings = { owner: IMPORT_AUTHOR, topic: '' } satisfies RoomSettings;
    return this.#append([
      draftEntry('create:room', IMPORT_MEMBER, {}, { keyUpdates: [[settingsKey, settings]], tickets: skeletonTickets(this.roomId) }),
    ]);
  }

  /** Appends the drafts of the next chats of the list; `chats` is how many list elements they come from. */
  async appendChats(drafts: DraftEntry[], chats: number): Promise<void> {
    this.#importedChats += chats;
    if (drafts.length === 0 || (await this.#append(drafts))) return;
    throw new StoreError(
      'failed',
      `Another import into the room ${JSON.stringify(this.roomId)} is running; wait until it ends, then run this again.`,
    );
  }

  async #append(drafts: DraftEntry[]): Promise<boolean> {
    const { epoch, seq } = this.#position;
    const imported = { from: this.#source, chats: this.#importedChats } satisfies ImportedValue;
    const appended = await this.#store.append(this.roomId, {
      drafts: drafts.map((each, index) => ({
        id: randomUUID(),
        ...each,
        ...(index === drafts.length - 1 && { keyUpdates: [...(each.keyUpdates ?? []), [importedKey, imported]] }),
      })),
      epoch,
      expectedVersions: [[importedKey, seq]],
    });
    if (appended.outcome === 'stale') return false;
    this.#position = { epoch: appended.epoch, seq: appended.entries.at(-1)?.seq ?? seq };
    return true;
  }
}
