/** Reads the Redis database of the tutorial's server. */
import { createClient, RESP_TYPES } from '@redis/client';
import { SettingsError } from '../config/settings.ts';
import { StoreError } from '../store/contract.ts';

const ROOMS_KEY = 'rooms';
const MEMBERS_KEY = 'members';
const CHATS_KEY_PREFIX = 'chat::';

/** Elements of one read. */
const SCAN_COUNT = 500;
const CHATS_PER_PAGE = 100;
const COMMAND_TIMEOUT_MS = 60_000;

/** A room of the tutorial's server, or one that only has chats. */
export interface TutorialRoom {
  /** The name as it is stored in the key; it may be any bytes. */
  id: Buffer;
  isListed: boolean;
}

/**
 * The database of the tutorial's server: a set `rooms`, a set `members` of `room::user`, and for each room a list `chat::room` of
 * `user::text`, newest first. All commands are read-only. Rejects with a `StoreError` if it cannot be read.
 */
export class TutorialDatabase {
  /** The URL of the database, without the password. */
  readonly name: string;
  readonly #client: ReturnType<typeof createRedisClient>;

  private constructor(name: string, client: ReturnType<typeof createRedisClient>) {
    this.name = name;
    this.#client = client;
  }

  static async connect(url: string): Promise<TutorialDatabase> {
    const client = createRedisClient(url);
    const database = new TutorialDatabase(urlWithoutPassword(url), client);
    // Each command rejects by itself.
    client.on('error', () => {});
    await database.#wrapErrors(() => client.connect());
    return database;
  }

  close(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }

  /** Throws if the database belongs to another program. */
  async assertIsTutorialDatabase(): Promise<void> {
    for (const key of [ROOMS_KEY, MEMBERS_KEY]) {
      const type = await this.#typeOf(key);
      if (type !== 'set' && type !== 'none')
        throw new StoreError('failed', `${this.name} is not the database of the tutorial's server: "${key}" is a ${type} there.`);
    }
  }

  /**
   * First the rooms of the set, then those that only have chats. While the database is in use, an element may be returned twice.
   */
  async *rooms(): AsyncGenerator<TutorialRoom[]> {
    for await (const ids of this.#scanSet(ROOMS_KEY)) yield ids.map((id) => ({ id, isListed: true }));
    for await (const keys of this.#scanKeys(`${CHATS_KEY_PREFIX}*`)) {
      const ids = keys.map((key) => key.subarray(CHATS_KEY_PREFIX.length));
      const known = await this.#areSetMembers(ROOMS_KEY, ids);
      yield ids.filter((_, index) => known[index] === false).map((id) => ({ id, isListed: false }));
    }
  }

  /** The `room::user` elements, unchanged. */
  members(): AsyncGenerator<Buffer[]> {
    return this.#scanSet(MEMBERS_KEY);
  }

  areRooms(ids: string[]): Promise<boolean[]> {
    return this.#areSetMembers(ROOMS_KEY, ids);
  }

  /** Whether a room with exactly this name exists, or has chats. */
  async hasRoom(name: string): Promise<boolean> {
    const [isKnown] = await this.areRooms([name]);
    return isKnown === true || (await this.#typeOf(chatsKey(Buffer.from(name)))) !== 'none';
  }

  areMembers(room: string, names: string[]): Promise<boolean[]> {
    return this.#areSetMembers(
      MEMBERS_KEY,
      names.map((name) => `${room}::${name}`),
    );
  }

  /** The number of chats; undefined if the key is not a list. */
  async countChats(room: Buffer): Promise<number | undefined> {
    const type = await this.#typeOf(chatsKey(room));
    if (type !== 'list') return type === 'none' ? 0 : undefined;
    return this.#wrapErrors(() => this.#client.lLen(chatsKey(room)));
  }

  /** The `user::text` elements from index `from` on, where 0 is the oldest: new chats do not change these indexes. */
  async *chats(room: Buffer, from: number): AsyncGenerator<Buffer[]> {
    for (let offset = from, isMore = true; isMore; ) {
      const page = await this.#wrapErrors(() => this.#client.lRange(chatsKey(room), -(offset + CHATS_PER_PAGE), -(offset + 1)));
      if (page.length > 0) yield page.reverse();
      offset += page.length;
      isMore = page.length > 0;
    }
  }

  async *#scanSet(key: string): AsyncGenerator<Buffer[]> {
    let cursor = '0';
    do {
      const page = await this.#wrapErrors(() => this.#client.sScan(key, cursor, { COUNT: SCAN_COUNT }));
      yield page.members;
      cursor = String(page.cursor);
    } while (cursor !== '0');
  }

  async *#scanKeys(pattern: string): AsyncGenerator<Buffer[]> {
    let cursor = '0';
    do {
      const page = await this.#wrapErrors(() => this.#client.scan(cursor, { MATCH: pattern, COUNT: SCAN_COUNT }));
      yield page.keys;
      cursor = String(page.cursor);
    } while (cursor !== '0');
  }

  /** One command for each element, pipelined: older Redis versions have no command for several. */
  #areSetMembers(key: string, elements: (string | Buffer)[]): Promise<boolean[]> {
    return this.#wrapErrors(async () =>
      (await Promise.all(elements.map((element) => this.#client.sIsMember(key, element)))).map((answer) => answer === 1),
    );
  }

  async #typeOf(key: string | Buffer): Promise<string> {
    return String(await this.#wrapErrors(() => this.#client.type(key)));
  }

  async #wrapErrors<Result>(read: () => Promise<Result>): Promise<Result> {
    try {
      return await read();
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      throw new StoreError('failed', `${this.name} cannot be read: ${message || code}`, error);
    }
  }
}

const chatsKey = (room: Buffer): Buffer => Buffer.concat([Buffer.from(CHATS_KEY_PREFIX), room]);

function createRedisClient(url: string) {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) throw new SettingsError("Give the tutorial's database as redis://… or rediss://….");
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    socket: { reconnectStrategy: false, connectTimeout: 10_000 },
    commandOptions: { timeout: COMMAND_TIMEOUT_MS, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
}

function urlWithoutPassword(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
