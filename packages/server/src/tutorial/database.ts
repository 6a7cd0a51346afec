import { createClient, RESP_TYPES } from '@redis/client';
import { SettingsError } from '../settings.ts';
import { StoreError } from '../store/store.ts';

const ROOMS = 'rooms';
const MEMBERS = 'members';
const CHATS = 'chat::';

/** Elements that are asked for at once. */
const SCANNED = 500;
const CHATS_A_PAGE = 100;
const TIMEOUT_MS = 60_000;

/** A room that the tutorial's server knew, or only has chats of. */
export interface TutorialRoom {
  /** As it stands in its key: any bytes. */
  id: Buffer;
  isKnown: boolean;
}

/**
 * The database of the tutorial's server: a set `rooms`, a set `members` of `room::user`, and for each room a list
 * `chat::room` of `user::text`, newest first. Only commands that write nothing are asked of it. Rejects with a
 * `StoreError` when it cannot be read.
 */
export class TutorialDatabase {
  /** Where it is; without a password. */
  readonly name: string;
  readonly #client: ReturnType<typeof newClient>;

  private constructor(name: string, client: ReturnType<typeof newClient>) {
    this.name = name;
    this.#client = client;
  }

  static async connect(url: string): Promise<TutorialDatabase> {
    const client = newClient(url);
    const database = new TutorialDatabase(nameOf(url), client);
    // Who asked is told by a rejection.
    client.on('error', () => {});
    await database.#reading(() => client.connect());
    return database;
  }

  close(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }

  /** Throws when what is there is another program's. */
  async mustBeTheTutorials(): Promise<void> {
    for (const key of [ROOMS, MEMBERS]) {
      const type = await this.#typeOf(key);
      if (type !== 'set' && type !== 'none')
        throw new StoreError('failed', `${this.name} is not the database of the tutorial's server: "${key}" is a ${type} there.`);
    }
  }

  /** First those that it knew, then those that there are only chats of; an element may come twice when the database is in use. */
  async *rooms(): AsyncGenerator<TutorialRoom[]> {
    for await (const ids of this.#elementsOf(ROOMS)) yield ids.map((id) => ({ id, isKnown: true }));
    for await (const keys of this.#keysLike(`${CHATS}*`)) {
      const ids = keys.map((key) => key.subarray(CHATS.length));
      const known = await this.#areElements(ROOMS, ids);
      yield ids.filter((_, index) => known[index] === false).map((id) => ({ id, isKnown: false }));
    }
  }

  /** `room::user`, as it stands there. */
  members(): AsyncGenerator<Buffer[]> {
    return this.#elementsOf(MEMBERS);
  }

  areRooms(ids: string[]): Promise<boolean[]> {
    return this.#areElements(ROOMS, ids);
  }

  /** Whether there is a room of exactly this name, or at least its chats. */
  async hasRoom(name: string): Promise<boolean> {
    const [isKnown] = await this.areRooms([name]);
    return isKnown === true || (await this.#typeOf(chatsOf(Buffer.from(name)))) !== 'none';
  }

  areMembers(room: string, names: string[]): Promise<boolean[]> {
    return this.#areElements(
      MEMBERS,
      names.map((name) => `${room}::${name}`),
    );
  }

  /** How many chats; undefined when what should be their list is something else. */
  async countChats(room: Buffer): Promise<number | undefined> {
    const type = await this.#typeOf(chatsOf(room));
    if (type !== 'list') return type === 'none' ? 0 : undefined;
    return this.#reading(() => this.#client.lLen(chatsOf(room)));
  }

  /** `user::text` from the given one on, the oldest is 0: counted from that end, new ones move nothing. */
  async *chats(room: Buffer, from: number): AsyncGenerator<Buffer[]> {
    for (let next = from, isMore = true; isMore; ) {
      const page = await this.#reading(() => this.#client.lRange(chatsOf(room), -(next + CHATS_A_PAGE), -(next + 1)));
      if (page.length > 0) yield page.reverse();
      next += page.length;
      isMore = page.length > 0;
    }
  }

  async *#elementsOf(key: string): AsyncGenerator<Buffer[]> {
    let cursor = '0';
    do {
      const page = await this.#reading(() => this.#client.sScan(key, cursor, { COUNT: SCANNED }));
      yield page.members;
      cursor = String(page.cursor);
    } while (cursor !== '0');
  }

  async *#keysLike(pattern: string): AsyncGenerator<Buffer[]> {
    let cursor = '0';
    do {
      const page = await this.#reading(() => this.#client.scan(cursor, { MATCH: pattern, COUNT: SCANNED }));
      yield page.keys;
      cursor = String(page.cursor);
    } while (cursor !== '0');
  }

  /** One command each, sent together: older servers know no other way. */
  #areElements(key: string, elements: (string | Buffer)[]): Promise<boolean[]> {
    return this.#reading(async () =>
      (await Promise.all(elements.map((element) => this.#client.sIsMember(key, element)))).map((answer) => answer === 1),
    );
  }

  async #typeOf(key: string | Buffer): Promise<string> {
    return String(await this.#reading(() => this.#client.type(key)));
  }

  async #reading<Result>(read: () => Promise<Result>): Promise<Result> {
    try {
      return await read();
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      throw new StoreError('failed', `${this.name} cannot be read: ${message || code}`, error);
    }
  }
}

const chatsOf = (room: Buffer): Buffer => Buffer.concat([Buffer.from(CHATS), room]);

function newClient(url: string) {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url))
    throw new SettingsError("The tutorial's database is named as redis://… or rediss://….");
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    socket: { reconnectStrategy: false, connectTimeout: 10_000 },
    commandOptions: { timeout: TIMEOUT_MS, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
}

function nameOf(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
