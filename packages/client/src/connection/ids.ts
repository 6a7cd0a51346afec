/** So many random bytes, as secrets are made of. */
export type RandomBytes = (count: number) => Uint8Array;

const SESSION_BYTES = 24;

/** The secret of this client, as a server takes it. */
export const newSession = (random: RandomBytes): string => toHex(random(SESSION_BYTES));

export const isSession = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{32,64}$/.test(value);

const CLIENT_ID_BYTES = 16;

/** Unique, as a random UUID is. `crypto.randomUUID` is missing in pages that were not loaded over HTTPS. */
export const newClientId = (random: RandomBytes): string => toHex(random(CLIENT_ID_BYTES));

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** What browsers and Node have; nothing where there is none, as in React Native. */
export function platformRandom(): RandomBytes | undefined {
  const { crypto } = globalThis as { crypto?: Partial<typeof globalThis.crypto> };
  return crypto?.getRandomValues && ((count) => globalThis.crypto.getRandomValues(new Uint8Array(count)));
}
