import { rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { nearest } from '../nearest.ts';
import { baseFolders } from './base-folders.ts';
import { type Config, checkName, ProfileError, readConfig, statePath } from './config.ts';
import { FileStorage, fileNameOf, isSession, MemoryStorage, type Storage } from './file-storage.ts';
import { makePrivateFolder, readPrivate, writePrivate } from './private-files.ts';
import { Seats } from './seats.ts';

/** Who somebody is, and where: what the command line, the environment and the config file say together. */
export interface Profile {
  /** `default` when none is named. */
  name: string;
  /** The server's URL. */
  server: string;
  /** Empty only where it is not needed and nothing says it. */
  username: string;
  /** What said them, in words for people. */
  sources: { server: string; username: string };
  /**
   * Session, positions and unsent chats, in a folder of its own that nobody else may read. Where it cannot be written they
   * are kept in memory, and `problem` says why. Of several programs that are in one room, the first keeps what is of the
   * room there; the others have the same session, and keep the rest in memory.
   */
  storage: Storage;
  /** The same session, and nothing else that outlives the program: for who keeps his place himself. */
  session: Storage;
  problem: string | undefined;
  /** Said to people once, as the program begins: variables that are ignored, and the `problem`. */
  notices: readonly string[];
  /** What the full-screen client had open when it was left. */
  rooms: { read(): OpenRooms; write(rooms: OpenRooms): void };
  /**
   * Whether no other program of this profile is in the room. A name is the session's, not the connection's: who leaves takes
   * all of them out, so only the last one is to leave.
   */
  isAlone(roomId: string): boolean;
  /** Where a program that reads the room may keep how far it came; nothing when nothing can be kept. */
  markFile(roomId: string): string | undefined;
}

export interface OpenRooms {
  /** Their ids, in their order. */
  open: readonly string[];
  /** The one that was looked at. */
  active?: string | undefined;
}

/** What the command line says. */
export interface ProfileOptions {
  profile?: string | undefined;
  server?: string | undefined;
  as?: string | undefined;
  /** Whether it cannot do without a name; it cannot when that is not said. */
  needsName?: boolean;
}

/** The profile when none is named; it need not be in the config file. */
export const DEFAULT_NAME = 'default';
const DEFAULT_SERVER = 'http://localhost:3000';
const MAX_ROOMS = 200;

/** @throws {ProfileError} when what is said cannot be used. A folder that cannot be written is only a `problem`. */
export function openProfile(options: ProfileOptions, env: NodeJS.ProcessEnv): Profile {
  const config = readConfig(env);
  const name = nameOf(options, env, config);
  const settings = config.profiles.get(name);
  const where = chosen(['--server', options.server], ['ENGAWA_SERVER', env.ENGAWA_SERVER], ['the profile', settings?.server]);
  const server = serverOf(where?.value ?? DEFAULT_SERVER);
  const who =
    chosen(['--as', options.as], ['ENGAWA_NAME', env.ENGAWA_NAME], ['the profile', settings?.username]) ??
    chosen(['your login', env.USER], ['your login', env.USERNAME], ['your login', loginOf()]);
  if (!who && (options.needsName ?? true)) {
    throw new ProfileError('say who you are: --as NAME, the variable ENGAWA_NAME, or `engawa profile set`');
  }
  const state = stateIn(statePath(env, name), server);
  const notices = [...baseFolders(env).ignored, ...(state.problem === undefined ? [] : [state.problem])];
  const sources = { server: where?.source ?? 'the default', username: who?.source ?? 'nothing says it' };
  return { name, server, username: who?.value ?? '', sources, notices, ...state };
}

/** The first that is set, and to more than nothing. */
function chosen(...all: [source: string, value: string | undefined][]): { source: string; value: string } | undefined {
  const [source, value] = all.find(([, each]) => present(each) !== undefined) ?? [];
  return source === undefined || value === undefined ? undefined : { source, value };
}

/** As the system knows the account: services, containers and cron jobs have no USER. */
function loginOf(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** Lets go of its session, positions, marks and what was not sent. */
export function forgetState(name: string, env: NodeJS.ProcessEnv): void {
  const folder = statePath(env, checkName(name));
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

export function serverOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href;
  throw new ProfileError(`"${text}" is no address of a server, such as https://chat.example`);
}

function nameOf(options: ProfileOptions, env: NodeJS.ProcessEnv, { default: standard, profiles }: Config): string {
  const named = options.profile ?? present(env.ENGAWA_PROFILE) ?? standard;
  if (named === undefined) return DEFAULT_NAME;
  if (profiles.has(named) || named === DEFAULT_NAME) return named;
  throw new ProfileError(`there is no profile "${named}"${nearest(named, [...profiles.keys()])}`);
}

/** A variable that is set to nothing is not set. */
const present = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

type State = Pick<Profile, 'storage' | 'session' | 'problem' | 'rooms' | 'isAlone' | 'markFile'>;

function stateIn(folder: string | undefined, server: string): State {
  if (folder === undefined) return inMemory('nothing is kept, as there is no home folder');
  try {
    return filesIn(folder, server);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return inMemory(`nothing is kept in ${folder} (${code ?? message})`);
  }
}

function inMemory(reason: string): State {
  const problem = `${reason}: session and unsent chats end with this program`;
  const storage = new MemoryStorage();
  const rooms = { read: () => ({ open: [] }), write: () => undefined };
  return { storage, session: storage, problem, rooms, isAlone: () => true, markFile: () => undefined };
}

function filesIn(folder: string, server: string): State {
  makePrivateFolder(folder);
  const files = new FileStorage(join(folder, 'storage'));
  const seats = new Seats(join(folder, 'seats'));
  const marks = join(folder, 'marks');
  makePrivateFolder(marks);
  // Fails here rather than in the middle of something.
  writePrivate(join(folder, 'version'), '1\n');
  const seatOf = (roomId: string) => fileNameOf(`${server} ${roomId}`);
  return {
    storage: new SeatedStorage({ files, seats, server }),
    session: new SessionStorage({ files, seats, server }),
    problem: undefined,
    rooms: lastRooms(join(folder, `${fileNameOf(server)}.rooms`)),
    isAlone: (roomId) => seats.isAlone(seatOf(roomId)),
    markFile: (roomId) => join(marks, `${seatOf(roomId)}.json`),
  };
}

interface Seated {
  files: FileStorage;
  seats: Seats;
  server: string;
}

/** Keeps the session alone; and others know that this program is in a room, from when it asks for its position until it leaves. */
class SessionStorage extends MemoryStorage {
  readonly #options: Seated;

  constructor(options: Seated) {
    super();
    this.#options = options;
  }

  override getItem(key: string): string | null {
    const { files, seats } = this.#options;
    const seat = this.#seatOf(key);
    if (seat !== undefined) seats.take(seat);
    return isSession(key) ? files.getItem(key) : super.getItem(key);
  }

  override setItem(key: string, value: string): void {
    if (isSession(key)) this.#options.files.setItem(key, value);
    else super.setItem(key, value);
  }

  override removeItem(key: string): void {
    const seat = this.#seatOf(key);
    if (seat !== undefined) this.#options.seats.release(seat);
    if (isSession(key)) this.#options.files.removeItem(key);
    else super.removeItem(key);
  }

  #seatOf(key: string): string | undefined {
    const { server } = this.#options;
    const prefix = `engawa:${server}:room:`;
    return key.startsWith(prefix) ? fileNameOf(`${server} ${key.slice(prefix.length)}`) : undefined;
  }
}

/** Who asks for what is kept of a room is about to join it. */
class SeatedStorage implements Storage {
  readonly #options: Seated;
  readonly #room: string;
  readonly #draft: string;
  readonly #unsent: string;
  readonly #memory = new MemoryStorage();
  /** Seats in rooms of which this program keeps what there is. */
  readonly #kept = new Set<string>();

  constructor(options: Seated) {
    this.#options = options;
    this.#room = `engawa:${options.server}:room:`;
    this.#draft = `engawa:${options.server}:draft:`;
    this.#unsent = `engawa:${options.server}:unsent:`;
  }

  getItem(key: string): string | null {
    const seat = this.#seatOf(key);
    if (seat !== undefined && this.#options.seats.take(seat)) this.#kept.add(seat);
    return this.#storageOf(key).getItem(key);
  }

  setItem(key: string, value: string): void {
    this.#storageOf(key).setItem(key, value);
  }

  /** What the client keeps of a room it removes only when the room was left, or is gone. */
  removeItem(key: string): void {
    this.#storageOf(key).removeItem(key);
    // What somebody discards in a room that has ended is in the files, whichever program has the room now.
    if (key.startsWith(this.#unsent) && !key.endsWith(':')) this.#options.files.removeItem(key);
    const seat = this.#seatOf(key);
    if (seat === undefined || !key.startsWith(this.#room)) return;
    this.#options.seats.release(seat);
    this.#kept.delete(seat);
  }

  #storageOf(key: string): Storage {
    const seat = this.#seatOf(key);
    return seat === undefined || this.#kept.has(seat) ? this.#options.files : this.#memory;
  }

  #seatOf(key: string): string | undefined {
    const prefix = [this.#room, this.#draft, this.#unsent].find((each) => key.startsWith(each));
    if (prefix === undefined) return undefined;
    const rest = key.slice(prefix.length);
    // The client keeps a list under `<room>:`, and each of what it lists under `<room>:<id>`.
    const roomId = prefix === this.#unsent ? rest.slice(0, rest.lastIndexOf(':')) : rest;
    return fileNameOf(`${this.#options.server} ${roomId}`);
  }
}

/** What cannot be read or written is only a convenience less. */
function lastRooms(path: string): Profile['rooms'] {
  return {
    read() {
      try {
        const found = JSON.parse(readPrivate(path) ?? '{}') as { open?: unknown; active?: unknown };
        // Earlier builds kept the ids alone.
        const ids: unknown = Array.isArray(found) ? found : found.open;
        const open = Array.isArray(ids) ? ids.filter((room) => typeof room === 'string').slice(0, MAX_ROOMS) : [];
        return { open, active: typeof found.active === 'string' ? found.active : undefined };
      } catch {
        return { open: [] };
      }
    },
    write({ open, active }) {
      try {
        writePrivate(path, JSON.stringify({ open: open.slice(0, MAX_ROOMS), active }));
      } catch {
        // They are opened by hand the next time.
      }
    },
  };
}
