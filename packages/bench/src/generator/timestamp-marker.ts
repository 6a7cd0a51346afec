// The stamp in the text of a chat: its run, and when it was due to be sent.
/** Begins a stamp, and occurs nowhere else in an event. */
const MARK = 0x7e;
const RUN_DIGITS = 2;
const TIME_DIGITS = 8;
const ZERO = 0x30;
/** Units of 10 µs: enough for a quarter of an hour. */
const UNIT_US = 10;

export const STAMP_LENGTH = 1 + RUN_DIGITS + TIME_DIGITS;
/** Stamps have the number of the run modulo this. */
export const RUNS = 10 ** RUN_DIGITS;

/** A place for a stamp in a text: the mark, the run, and the due time in that run. */
export const blankStamp = (): string => `${String.fromCharCode(MARK)}${'0'.repeat(STAMP_LENGTH - 1)}`;

/** Where the stamp of a frame begins, or -1. */
export const findStamp = (bytes: Buffer, start: number, end: number): number => {
  for (let at = start; at <= end - STAMP_LENGTH; at += 1) if (bytes[at] === MARK) return at;
  return -1;
};

export const isStampAt = (bytes: Buffer, at: number): boolean => bytes[at] === MARK;

/** A time rounded as in a stamp. */
export const stampedUs = (us: number): number => Math.floor(us / UNIT_US) * UNIT_US;

export function writeStamp(bytes: Buffer, at: number, { run, dueUs }: { run: number; dueUs: number }): void {
  writeDigits(bytes, at + 1, { value: run % RUNS, digits: RUN_DIGITS });
  writeDigits(bytes, at + 1 + RUN_DIGITS, { value: Math.floor(dueUs / UNIT_US), digits: TIME_DIGITS });
}

export const stampedRun = (bytes: Buffer, at: number): number => readDigits(bytes, at + 1, RUN_DIGITS);

/** Microseconds from the beginning of the run. */
export const stampedDueUs = (bytes: Buffer, at: number): number => readDigits(bytes, at + 1 + RUN_DIGITS, TIME_DIGITS) * UNIT_US;

function writeDigits(bytes: Buffer, at: number, { value, digits }: { value: number; digits: number }): void {
  for (let index = digits - 1, rest = value; index >= 0; index -= 1, rest = Math.floor(rest / 10)) bytes[at + index] = ZERO + (rest % 10);
}

function readDigits(bytes: Buffer, at: number, digits: number): number {
  let value = 0;
  for (let index = at; index < at + digits; index += 1) value = value * 10 + (bytes[index] as number) - ZERO;
  return value;
}
