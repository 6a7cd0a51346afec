// Synchronous client storage: one private file for each key, or in memory.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createPrivateFile, makePrivateFolder, readPrivateFile, writePrivateFile } from './private-files.ts';

/** A `ClientStorage` whose methods return values and not promises. */
export interface SyncStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** More than a full outbox needs. */
const MAX_VALUE_CHARACTERS = 8 * 1024 * 1024;
/** Limit for room files; the least recently written is removed first. The outbox is never removed: it has its own limits. */
const MAX_ROOM_FILES = 2_000;
const FILE_SUFFIX = '.json';
const UNSENT_SUFFIX = '.unsent';
const SESSION_BYTES = 24;

/** A file name for any key: it cannot leave the folder, and no two names differ only in case. */
export const hashedFileName = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 40);

/**
 * A storage with one file for each key. Each write is synchronous and atomic, so that the state is valid however the process
 * ends. It also creates the session: two processes that start at once get the same one.
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
    // An unreadable session is useless: replace it.
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

/** Stores nothing on disk: for processes that keep their own position, or share a room with another process. */
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

/** Undefined if the file is damaged or belongs to another key. */
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
