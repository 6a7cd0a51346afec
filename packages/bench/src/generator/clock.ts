// The only clock that all processes of a machine share.

const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds with fractions since an arbitrary moment. */
export const monotonicMs = (): number => performance.now() + OFFSET_MS;
