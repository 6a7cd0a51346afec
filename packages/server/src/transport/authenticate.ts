import { hash, randomFillSync } from 'node:crypto';
import { ChatError } from '@engawa/protocol';

/** What `newSession` makes, and nothing that is guessed easily. */
const SESSION = /^[\w-]{32,64}$/;

/** A session is a secret of one client; the author is what the log knows of it, and tells nobody the secret. */
export interface Identity {
  session: string;
  author: string;
}

const isSession = (shown: unknown): shown is string => typeof shown === 'string' && SESSION.test(shown);

/**
 * The identity that a client shows when it connects, or a new one: as `auth.session`, or in the `pid` that stock clients
 * show by themselves. They may have a `pid` of another server, which says nothing to us.
 */
export function authenticate(auth: unknown): Identity {
  const { session, pid } = (auth ?? {}) as { session?: unknown; pid?: unknown };
  if (session === undefined || session === null) return identityOf(sessionIn(pid) ?? newSession());
  if (!isSession(session)) throw new ChatError('invalid_session');
  return identityOf(session);
}

/** A stock client takes a `pid` that it had before for a recovery: so each holds the session, and the id of its own socket. */
export const newPid = (session: string, id: string): string => `${session}.${id}`;

export function sessionIn(pid: unknown): string | undefined {
  const [session] = typeof pid === 'string' ? pid.split('.', 1) : [];
  return isSession(session) ? session : undefined;
}

export const authorOf = (session: string): string => {
  const digest = hash('sha256', session, 'base64url');
  // A string of its own: a slice would keep the whole digest.
  return Buffer.from(digest.slice(0, 22)).toString('latin1');
};

const SESSION_BYTES = 24;
/** Drawn for many sessions at once: each call to the generator costs more than the bytes. */
const random = Buffer.alloc(128 * SESSION_BYTES);
let drawn = random.length;

function newSession(): string {
  if (drawn === random.length) {
    randomFillSync(random);
    drawn = 0;
  }
  const session = random.toString('base64url', drawn, drawn + SESSION_BYTES);
  drawn += SESSION_BYTES;
  return session;
}

const identityOf = (session: string): Identity => ({ session, author: authorOf(session) });
