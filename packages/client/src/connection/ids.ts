/** Session secrets, client ids, and the platform's source of random bytes. */

/** Returns `count` cryptographically secure random bytes. */
export type RandomBytes = (count: number) => Uint8Array;

const SESSION_BYTES = 24;

/** A new secret, in the format that servers accept. */
export const newSession = (random: RandomBytes): string => toHex(random(SESSION_BYTES));

export const isSession = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{32,64}$/.test(value);

const CLIENT_ID_BYTES = 16;

/** As unique as a random UUID. `crypto.randomUUID` does not exist in pages that were loaded without HTTPS. */
export const newClientId = (random: RandomBytes): string => toHex(random(CLIENT_ID_BYTES));

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The source of browsers and Node; undefined without `crypto`, as in React Native. */
export function platformRandom(): RandomBytes | undefined {
  const { crypto } = globalThis as { crypto?: Partial<typeof globalThis.crypto> };
  return crypto?.getRandomValues && ((count) => globalThis.crypto.getRandomValues(new Uint8Array(count)));
}
