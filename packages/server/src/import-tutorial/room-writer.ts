import { randomUUID } from 'node:crypto';
import { type DraftEntry, draftEntry } from '../domain/command.ts';
import { type ImportedValue, importedKey, type RoomSettings, settingsKey } from '../domain/room-keys.ts';
import { skeletonTickets } from '../domain/rooms.ts';
import { type Store, StoreError } from '../store/contract.ts';

/** No session has it, for authors are hashes of theirs: what was imported is nobody's to change, and no name is held. */
export const IMPORT_AUTHOR = 'imported';
const IMPORT_MEMBER = { username: 'import', author: IMPORT_AUTHOR };

interface WritePosition {
  /** Null while there is no such room. */
  epoch: string | null;
  /** The entry that set the key `imported`. */
  seq: number;
}

/**
 * A room that is filled from a list. How far it is stands in the room itself, under the key `imported`, which moves in
 * the append that moves it: so whatever ends an import, and however much later it goes on, nothing is there twice.
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

  /** Undefined when the room is there and was not made by an import from this list. Writes nothing yet. */
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

  /** How many chats of the list were taken, the oldest first, whether anything came of them or not. */
  get importedChats(): number {
    return this.#importedChats;
  }

  /** False when somebody else was first. */
  async createRoom(): Promise<boolean> {
    const settings = { owner: IMPORT_AUTHOR, topic: '' } satisfies RoomSettings;
    return this.#append([
      draftEntry('create:room', IMPORT_MEMBER, {}, { keyUpdates: [[settingsKey, settings]], tickets: skeletonTickets(this.roomId) }),
    ]);
  }

  /** Adds what came of the next chats of the list. */
  async appendChats(drafts: DraftEntry[], chats: number): Promise<void> {
    this.#importedChats += chats;
    if (drafts.length === 0 || (await this.#append(drafts))) return;
    throw new StoreError('failed', `Somebody else imports into the room ${JSON.stringify(this.roomId)}; wait for it, then ask again.`);
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
