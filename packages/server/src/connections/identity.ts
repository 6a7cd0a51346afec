/** The identity of a client: its secret session, and the author that is derived from it. */
import { hash, randomFillSync } from 'node:crypto';
import { ChatError } from '@engawa/protocol';

/** What `newSession` makes, and nothing that is guessed easily. */
const SESSION_PATTERN = /^[\w-]{32,64}$/;

/** A session is a secret of one client; the author is what the log knows of it, and tells nobody the secret. */
export interface Identity {
  session: string;
  author: string;
}

const isSession = (value: unknown): value is string => typeof value === 'string' && SESSION_PATTERN.test(value);

/**
 * The identity that a client shows when it connects, or a new one: as `auth.session`, or in the `pid` that stock clients
 * show by themselves. They may have a `pid` of another server, which says nothing to us.
 */
export function authenticate(auth: unknown): Identity {
  const { session, pid } = (auth ?? {}) as { session?: unknown; pid?: unknown };
  if (session === undefined || session === null) return toIdentity(sessionFromPid(pid) ?? createSession());
  if (!isSession(session)) throw new ChatError('invalid_session');
  return toIdentity(session);
}

/** A stock client takes a `pid` that it had before for a recovery: so each holds the session, and the id of its own socket. */
export const createPid = (session: string, id: string): string => `${session}.${id}`;

export function sessionFromPid(pid: unknown): string | undefined {
  const [session] = typeof pid === 'string' ? pid.split('.', 1) : [];
  return isSession(session) ? session : undefined;
}

export const deriveAuthor = (session: string): string => {
  const digest = hash('sha256', session, 'base64url');
  // A string of its own: a slice would keep the whole digest.
  return Buffer.from(digest.slice(0, 22)).toString('latin1');
};

const SESSION_BYTES = 24;
/** Drawn for many sessions at once: each call to the generator costs more than the bytes. */
const randomPool = Buffer.alloc(128 * SESSION_BYTES);
let poolOffset = randomPool.length;

function createSession(): string {
  if (poolOffset === randomPool.length) {
    randomFillSync(randomPool);
    poolOffset = 0;
  }
  const session = randomPool.toString('base64url', poolOffset, poolOffset + SESSION_BYTES);
  poolOffset += SESSION_BYTES;
  return session;
}

const toIdentity = (session: string): Identity => ({ session, author: deriveAuthor(session) });
