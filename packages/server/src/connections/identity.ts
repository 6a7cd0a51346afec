/** The identity of a client, and how a client without an account authenticates: by a secret session. */
import { hash, randomFillSync } from 'node:crypto';
import { ChatError } from '@engawa/protocol';
import type { RecoveryTokens } from './recovery-tokens.ts';

/** The identity of the client. */
export interface Identity {
  /** The opaque identity that the log stores. It never leaves the server. */
  author: string;
  /** The secret that proves it: the reply to a join contains it. */
  session: string;
}

/** The credentials of a connecting client. They are not verified yet. */
export interface ClientHandshake {
  auth: unknown;
}

/** Authenticates a connection. It rejects with a `ChatError` or a `StoreError`. */
export interface Authenticator {
  authenticate(handshake: ClientHandshake): Promise<Identity>;
}

/** Accepts what `createSession` returns, and other texts that are hard to guess. */
const SESSION_PATTERN = /^[\w-]{32,64}$/;

const isSession = (value: unknown): value is string => typeof value === 'string' && SESSION_PATTERN.test(value);

/**
 * Authenticates guests: by `auth.session`, or by the recovery token that the Socket.IO library shows by itself (`auth.pid`). A
 * client that shows neither gets a new session, and so does a client whose token is of another server.
 */
export class GuestAuthenticator implements Authenticator {
  readonly #recoveryTokens: RecoveryTokens;

  constructor(recoveryTokens: RecoveryTokens) {
    this.#recoveryTokens = recoveryTokens;
  }

  async authenticate({ auth }: ClientHandshake): Promise<Identity> {
    const { session, pid } = (auth ?? {}) as { session?: unknown; pid?: unknown };
    if (session !== undefined && session !== null) {
      if (!isSession(session)) throw new ChatError('invalid_session');
      return toIdentity(session);
    }
    return toIdentity((await this.#recoveryTokens.open(pid)) ?? createSession());
  }
}

export const deriveAuthor = (session: string): string => {
  const digest = hash('sha256', session, 'base64url');
  // A string of its own: a slice would keep the whole digest in memory.
  return Buffer.from(digest.slice(0, 22)).toString('latin1');
};

const SESSION_BYTES = 24;
/** Random bytes for many sessions: each call to the generator costs more than the bytes. */
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
