/** All processes of a machine have this clock in common, and no other. */
const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds, with fractions, since some moment in the past. */
export const monotonicMs = (): number => performance.now() + OFFSET_MS;
