/** Recovery tokens: what the Socket.IO library of a client shows by itself when it reconnects (`pid`). */
import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The longest session has 64 characters: a longer text is no token, and costs nothing. */
const MAX_TOKEN_CHARS = Math.ceil(((NONCE_BYTES + 64 + TAG_BYTES) * 4) / 3);

/**
 * A token contains the session of the client, encrypted and authenticated with a key of the store: any server of the store opens
 * it, also after a restart, and only such a server can read the session in it. No two tokens are equal, as the library requires:
 * a client whose token did not change considers itself recovered.
 */
export class RecoveryTokens {
  readonly #readSecret: () => Promise<string>;
  #key: Promise<Buffer> | undefined;

  /** `readSecret`: the secret of the store. Both methods reject as it does. */
  constructor(readSecret: () => Promise<string>) {
    this.#readSecret = readSecret;
  }

  async seal(session: string): Promise<string> {
    const nonce = randomFillSync(Buffer.allocUnsafe(NONCE_BYTES));
    const cipher = createCipheriv(ALGORITHM, await this.#readKey(), nonce);
    const sealed = cipher.update(session, 'latin1');
    return Buffer.concat([nonce, sealed, cipher.final(), cipher.getAuthTag()]).toString('base64url');
  }

  /** The session in the token; undefined if it is none of this store. */
  async open(token: unknown): Promise<string | undefined> {
    if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS) return undefined;
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, await this.#readKey(), bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const session = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'latin1');
    try {
      return session + decipher.final('latin1');
    } catch {
      return undefined;
    }
  }

  /** Read once, and again after an error. */
  #readKey(): Promise<Buffer> {
    this.#key ??= this.#readSecret().then(
      (secret) => Buffer.from(hkdfSync('sha256', secret, '', 'recovery tokens', KEY_BYTES)),
      (error: unknown) => {
        this.#key = undefined;
        throw error;
      },
    );
    return this.#key;
  }
}
