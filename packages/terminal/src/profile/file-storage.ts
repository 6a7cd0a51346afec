import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createPrivateFile, makePrivateFolder, readPrivateFile, writePrivateFile } from './private-files.ts';

/** A `ClientStorage` that answers at once. */
export interface SyncStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** More than a full outbox takes. */
const MAX_VALUE_CHARACTERS = 8 * 1024 * 1024;
/** Of rooms. The one that was written longest ago goes first. What waits to be sent never goes: the outbox has its own bounds. */
const MAX_ROOM_FILES = 2_000;
const FILE_SUFFIX = '.json';
const UNSENT_SUFFIX = '.unsent';
const SESSION_BYTES = 24;

/** The name of a file for anything: none leaves its folder, and no two differ only by case. */
export const hashedFileName = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 40);

/**
 * A storage of one file a key. Written at once and never half, so that whatever ends the program it goes on from there.
 * The session is made here: of two programs that start at once, both have the same.
 */
export class FileStorage implements SyncStorage {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    makePrivateFolder(folder);
  }

  getItem(key: string): string | null {
    const found = decodeValue(readPrivateFile(this.#path(key)), key);
    if (found !== undefined || !isSessionKey(key)) return found ?? null;
    const session = JSON.stringify(randomBytes(SESSION_BYTES).toString('base64url'));
    // What is there and cannot be read is no session of anybody.
    rmSync(this.#path(key), { force: true });
    return decodeValue(createPrivateFile(this.#path(key), encodeValue(key, session)), key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (value.length > MAX_VALUE_CHARACTERS) throw new Error('It is more than a file of the profile may hold.');
    const path = this.#path(key);
    if (!existsSync(path)) this.#evictOldest();
    writePrivateFile(path, encodeValue(key, value), { durable: isSessionKey(key) });
  }

  removeItem(key: string): void {
    rmSync(this.#path(key), { force: true });
  }

  #path(key: string): string {
    const kind = isSessionKey(key) ? '.session' : key.includes(':unsent:') ? UNSENT_SUFFIX : FILE_SUFFIX;
    return join(this.#folder, `${hashedFileName(key)}${kind}`);
  }

  #evictOldest(): void {
    const files = readdirSync(this.#folder).filter((name) => name.endsWith(FILE_SUFFIX));
    if (files.length < MAX_ROOM_FILES) return;
    const byAge = files.map((name) => ({ name, at: modifiedAt(join(this.#folder, name)) })).sort((one, other) => one.at - other.at);
    for (const { name } of byAge.slice(0, files.length - MAX_ROOM_FILES + 1)) rmSync(join(this.#folder, name), { force: true });
  }
}

/** What a room is known by is kept nowhere: for who has his place from elsewhere, or shares the room with another program. */
export class MemoryStorage implements SyncStorage {
  readonly #values = new Map<string, string>();

  getItem(key: string): string | null {
    return this.#values.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.#values.set(key, value);
  }

  removeItem(key: string): void {
    this.#values.delete(key);
  }

  getAllKeys(): Promise<string[]> {
    return Promise.resolve([...this.#values.keys()]);
  }
}

export const isSessionKey = (key: string): boolean => key.endsWith(':session');

const encodeValue = (key: string, value: string): string => JSON.stringify({ key, value });

/** What was broken, or is of another key, is as good as nothing. */
function decodeValue(text: string | undefined, key: string): string | undefined {
  try {
    const found = JSON.parse(text ?? 'null') as { key?: unknown; value?: unknown } | null;
    return found?.key === key && typeof found.value === 'string' ? found.value : undefined;
  } catch {
    return undefined;
  }
}

function modifiedAt(path: string): number {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}
