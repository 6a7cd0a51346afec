const encoder = new TextEncoder();

/** Bytes that something takes as JSON. */
export const jsonByteLength = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;
