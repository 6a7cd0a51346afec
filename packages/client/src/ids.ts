const SESSION_BYTES = 24;

/** The secret of this client, as a server takes it: random, of URL-safe characters. */
export const newSession = (): string =>
  btoa(String.fromCharCode(...randomBytes(SESSION_BYTES)))
    .replaceAll('+', '-')
    .replaceAll('/', '_');

export const isSession = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{32,64}$/.test(value);

/** A UUID. `crypto.randomUUID` is missing in pages that were not loaded over HTTPS. */
export function newClientId(): string {
  const bytes = randomBytes(16);
  const hex = Array.from(bytes, (byte, at) => (at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte))
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const randomBytes = (count: number): Uint8Array => globalThis.crypto.getRandomValues(new Uint8Array(count));
