import { createHash, randomBytes } from 'node:crypto';
import { ChatError } from '@engawa/protocol';

/** What `newSession` makes, and nothing that is guessed easily. */
const SESSION = /^[\w-]{32,64}$/;

/** A session is a secret of one client; the author is what the log knows of it, and tells nobody the secret. */
export interface Identity {
  session: string;
  author: string;
}

/** The identity that a client shows as `auth.session` when it connects, or a new one. */
export function authenticate(auth: unknown): Identity {
  const shown = (auth as { session?: unknown } | null | undefined)?.session;
  if (shown === undefined || shown === null) return identityOf(newSession());
  if (typeof shown !== 'string' || !SESSION.test(shown)) throw new ChatError('invalid_session');
  return identityOf(shown);
}

const newSession = (): string => randomBytes(24).toString('base64url');

const identityOf = (session: string): Identity => ({
  session,
  author: createHash('sha256').update(session).digest('base64url').slice(0, 22),
});
