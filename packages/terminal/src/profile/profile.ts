// Resolves the profile of a run: server, username, session storage and open rooms.
import { rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { didYouMean } from '../text/did-you-mean.ts';
import { type Config, ProfileError, readConfig, stateFolder, validateProfileName } from './config.ts';
import { FileStorage, hashedFileName, isSessionKey, MemoryStorage, type SyncStorage } from './file-storage.ts';
import { makePrivateFolder, readPrivateFile, writePrivateFile } from './private-files.ts';
import { RoomPidFiles } from './room-pid-files.ts';
import { resolveBaseFolders } from './xdg-directories.ts';

/** The server and the identity of a run, resolved from the command line, the environment and the config file. */
export interface Profile {
  /** `default` unless another profile is chosen. */
  name: string;
  /** URL. */
  server: string;
  /** Empty only if the command needs no name and none is set. */
  username: string;
  /** Where each setting comes from, for messages. */
  sources: { server: string; username: string };
  /**
   * Session, positions and unsent chats, in a private folder. If the folder cannot be written, they are stored in memory only and
   * `problem` says why. If several processes are in one room, the first one stores the state of the room; the others share the
   * session and keep the rest in memory.
   */
  storage: SyncStorage;
  /** Stores only the session: for commands that keep their own position. */
  session: SyncStorage;
  problem: string | undefined;
  /** Warnings to print once at the start: ignored variables, and the `problem`. */
  notices: readonly string[];
  /** The rooms that the full-screen client had open at its end. */
  rooms: { read(): OpenRooms; write(rooms: OpenRooms): void };
  /**
   * Whether no other process of this profile is in the room. A membership belongs to the session and not to the connection: a
   * leave ends it for all processes, so only the last one may leave.
   */
  isOnlyProcess(roomId: string): boolean;
  /** The default cursor file for a room; undefined if nothing can be stored. */
  cursorPath(roomId: string): string | undefined;
}

export interface OpenRooms {
  /** Room ids, in display order. */
  open: readonly string[];
  /** The current room. */
  active?: string | undefined;
}

/** Command-line options that choose the profile. */
export interface ProfileOptions {
  profile?: string | undefined;
  server?: string | undefined;
  as?: string | undefined;
  /** Whether the command needs a username and fails without one. */
  needsName?: boolean;
}

/** Used when no profile is named. It need not be in the config file. */
export const DEFAULT_PROFILE = 'default';
const DEFAULT_SERVER = 'http://localhost:3000';
const MAX_OPEN_ROOMS = 200;

/** A folder that cannot be written only sets `problem`. @throws {ProfileError} for an invalid setting. */
export function openProfile(options: ProfileOptions, env: NodeJS.ProcessEnv): Profile {
  const config = readConfig(env);
  const name = resolveProfileName(options, env, config);
  const settings = config.profiles.get(name);
  const serverChoice = firstNonEmpty(['--server', options.server], ['ENGAWA_SERVER', env.ENGAWA_SERVER], ['the profile', settings?.server]);
  const server = parseServerUrl(serverChoice?.value ?? DEFAULT_SERVER);
  const usernameChoice =
    firstNonEmpty(['--as', options.as], ['ENGAWA_NAME', env.ENGAWA_NAME], ['the profile', settings?.username]) ??
    firstNonEmpty(['your login', env.USER], ['your login', env.USERNAME], ['your login', accountName()]);
  if (!usernameChoice && (options.needsName ?? true)) {
    throw new ProfileError('say who you are: --as NAME, the variable ENGAWA_NAME, or `engawa profile set`');
  }
  const state = openState(stateFolder(env, name), server);
  const notices = [...resolveBaseFolders(env).warnings, ...(state.problem === undefined ? [] : [state.problem])];
  const sources = { server: serverChoice?.source ?? 'the default', username: usernameChoice?.source ?? 'nothing says it' };
  return { name, server, username: usernameChoice?.value ?? '', sources, notices, ...state };
}

/** The first value that is set and not empty. */
function firstNonEmpty(...all: [source: string, value: string | undefined][]): { source: string; value: string } | undefined {
  const [source, value] = all.find(([, each]) => nonEmpty(each) !== undefined) ?? [];
  return source === undefined || value === undefined ? undefined : { source, value };
}

/** From the account database: services, containers and cron jobs have no USER variable. */
function accountName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** Deletes the session, positions, cursors and unsent chats of a profile. */
export function deleteState(name: string, env: NodeJS.ProcessEnv): void {
  const folder = stateFolder(env, validateProfileName(name));
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

export function parseServerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href;
  throw new ProfileError(`"${text}" is no address of a server, such as https://chat.example`);
}

function resolveProfileName(options: ProfileOptions, env: NodeJS.ProcessEnv, { default: defaultName, profiles }: Config): string {
  const named = options.profile ?? nonEmpty(env.ENGAWA_PROFILE) ?? defaultName;
  if (named === undefined) return DEFAULT_PROFILE;
  if (profiles.has(named) || named === DEFAULT_PROFILE) return named;
  throw new ProfileError(`there is no profile "${named}"${didYouMean(named, [...profiles.keys()])}`);
}

/** An empty variable counts as unset. */
const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

type ProfileState = Pick<Profile, 'storage' | 'session' | 'problem' | 'rooms' | 'isOnlyProcess' | 'cursorPath'>;

function openState(folder: string | undefined, server: string): ProfileState {
  if (folder === undefined) return memoryState('nothing is stored, because there is no home folder');
  try {
    return fileState(folder, server);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return memoryState(`nothing is stored in ${folder} (${code ?? message})`);
  }
}

function memoryState(reason: string): ProfileState {
  const problem = `${reason}: session and unsent chats end with this program`;
  const storage = new MemoryStorage();
  const rooms = { read: () => ({ open: [] }), write: () => undefined };
  return { storage, session: storage, problem, rooms, isOnlyProcess: () => true, cursorPath: () => undefined };
}

function fileState(folder: string, server: string): ProfileState {
  makePrivateFolder(folder);
  const files = new FileStorage(join(folder, 'storage'));
  const pidFiles = new RoomPidFiles(join(folder, 'seats'));
  const cursorFolder = join(folder, 'marks');
  makePrivateFolder(cursorFolder);
  // Detects an unwritable folder now and not in the middle of a run.
  writePrivateFile(join(folder, 'version'), '1\n');
  const roomKeyOf = (roomId: string) => hashedFileName(`${server} ${roomId}`);
  return {
    storage: new SharedProfileStorage({ files, pidFiles, server }),
    session: new SessionOnlyStorage({ files, pidFiles, server }),
    problem: undefined,
    rooms: createOpenRoomsFile(join(folder, `${hashedFileName(server)}.rooms`)),
    isOnlyProcess: (roomId) => pidFiles.isOnlyProcess(roomKeyOf(roomId)),
    cursorPath: (roomId) => join(cursorFolder, `${roomKeyOf(roomId)}.json`),
  };
}

interface ProfileStorageOptions {
  files: FileStorage;
  pidFiles: RoomPidFiles;
  server: string;
}

/** Stores only the session. Other processes see this one in a room from its first read of the position until it leaves. */
class SessionOnlyStorage extends MemoryStorage {
  readonly #options: ProfileStorageOptions;

  constructor(options: ProfileStorageOptions) {
    super();
    this.#options = options;
  }

  override getItem(key: string): string | null {
    const { files, pidFiles } = this.#options;
    const roomKey = this.#roomKeyOf(key);
    if (roomKey !== undefined) pidFiles.claim(roomKey);
    return isSessionKey(key) ? files.getItem(key) : super.getItem(key);
  }

  override setItem(key: string, value: string): void {
    if (isSessionKey(key)) this.#options.files.setItem(key, value);
    else super.setItem(key, value);
  }

  override removeItem(key: string): void {
    const roomKey = this.#roomKeyOf(key);
    if (roomKey !== undefined) this.#options.pidFiles.release(roomKey);
    if (isSessionKey(key)) this.#options.files.removeItem(key);
    else super.removeItem(key);
  }

  #roomKeyOf(key: string): string | undefined {
    const { server } = this.#options;
    const prefix = `engawa:${server}:room:`;
    return key.startsWith(prefix) ? hashedFileName(`${server} ${key.slice(prefix.length)}`) : undefined;
  }
}

/** A read of the state of a room means that this process is about to join it. */
class SharedProfileStorage implements SyncStorage {
  readonly #options: ProfileStorageOptions;
  readonly #roomPrefix: string;
  readonly #draftPrefix: string;
  readonly #unsentPrefix: string;
  readonly #memory = new MemoryStorage();
  /** Keys of the rooms whose state this process stores. */
  readonly #ownedRooms = new Set<string>();

  constructor(options: ProfileStorageOptions) {
    this.#options = options;
    this.#roomPrefix = `engawa:${options.server}:room:`;
    this.#draftPrefix = `engawa:${options.server}:draft:`;
    this.#unsentPrefix = `engawa:${options.server}:unsent:`;
  }

  getItem(key: string): string | null {
    const roomKey = this.#roomKeyOf(key);
    if (roomKey !== undefined && this.#options.pidFiles.claim(roomKey)) this.#ownedRooms.add(roomKey);
    return this.#storageOf(key).getItem(key);
  }

  setItem(key: string, value: string): void {
    this.#storageOf(key).setItem(key, value);
  }

  /** The client removes the state of a room only when the room was left or has ended. */
  removeItem(key: string): void {
    this.#storageOf(key).removeItem(key);
    // Chats that the user discards in a room that has ended are in the files, whichever process owns the room now.
    if (key.startsWith(this.#unsentPrefix) && !key.endsWith(':')) this.#options.files.removeItem(key);
    const roomKey = this.#roomKeyOf(key);
    if (roomKey === undefined || !key.startsWith(this.#roomPrefix)) return;
    this.#options.pidFiles.release(roomKey);
    this.#ownedRooms.delete(roomKey);
  }

  #storageOf(key: string): SyncStorage {
    const roomKey = this.#roomKeyOf(key);
    return roomKey === undefined || this.#ownedRooms.has(roomKey) ? this.#options.files : this.#memory;
  }

  #roomKeyOf(key: string): string | undefined {
    const prefix = [this.#roomPrefix, this.#draftPrefix, this.#unsentPrefix].find((each) => key.startsWith(each));
    if (prefix === undefined) return undefined;
    const rest = key.slice(prefix.length);
    // The client stores a list under `<room>:` and each item of it under `<room>:<id>`.
    const roomId = prefix === this.#unsentPrefix ? rest.slice(0, rest.lastIndexOf(':')) : rest;
    return hashedFileName(`${this.#options.server} ${roomId}`);
  }
}

/** Errors are ignored: the list of open rooms is only a convenience. */
function createOpenRoomsFile(path: string): Profile['rooms'] {
  return {
    read() {
      try {
        const stored = JSON.parse(readPrivateFile(path) ?? '{}') as { open?: unknown; active?: unknown };
        // Earlier versions stored only the ids.
        const ids: unknown = Array.isArray(stored) ? stored : stored.open;
        const open = Array.isArray(ids) ? ids.filter((room) => typeof room === 'string').slice(0, MAX_OPEN_ROOMS) : [];
        return { open, active: typeof stored.active === 'string' ? stored.active : undefined };
      } catch {
        return { open: [] };
      }
    },
    write({ open, active }) {
      try {
        writePrivateFile(path, JSON.stringify({ open: open.slice(0, MAX_OPEN_ROOMS), active }));
      } catch {
        // The user opens the rooms by hand the next time.
      }
    },
  };
}
