const encoder = new TextEncoder();

/** Bytes that something takes as JSON. */
export const sizeOf = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;
