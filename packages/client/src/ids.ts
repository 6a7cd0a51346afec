/** So many random bytes, as secrets are made of. */
export type Random = (count: number) => Uint8Array;

const SESSION_BYTES = 24;

/** The secret of this client, as a server takes it. */
export const newSession = (random: Random): string => hexOf(random(SESSION_BYTES));

export const isSession = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{32,64}$/.test(value);

/** A UUID. `crypto.randomUUID` is missing in pages that were not loaded over HTTPS. */
export function newClientId(random: Random): string {
  const hex = hexOf(random(16).map((byte, at) => (at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte)));
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** What browsers and Node have; nothing where there is none, as in React Native. */
export function platformRandom(): Random | undefined {
  const { crypto } = globalThis as { crypto?: Partial<typeof globalThis.crypto> };
  return crypto?.getRandomValues && ((count) => globalThis.crypto.getRandomValues(new Uint8Array(count)));
}
