/** The size of a value as JSON, in bytes. */

const encoder = new TextEncoder();

export const jsonByteLength = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;
