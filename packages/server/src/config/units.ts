/** Parses and formats durations and sizes. */
/** Milliseconds of each unit of time. */
const DURATIONS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Bytes of each unit of size. */
const SIZES = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 };

/** Parses `90s`, `30m`, `12h` or `30d` to milliseconds. Undefined for anything else. */
export const parseDuration = (text: string): number | undefined => parse(text, DURATIONS);

/** Parses `512`, `64kb`, `100mb`, `2gb` or `1tb` to bytes. Undefined for anything else. */
export const parseSize = (text: string): number | undefined => parse(/\d$/.test(text) ? `${text}b` : text, SIZES);

/** Formats in the largest unit that needs no fraction. */
export const formatDuration = (milliseconds: number): string => formatWhole(milliseconds, DURATIONS);
export const formatSize = (bytes: number): string => formatWhole(bytes, SIZES);

function parse(text: string, units: Record<string, number>): number | undefined {
  const [, count, unit = ''] = /^(\d+)([a-z]+)$/.exec(text.trim().toLowerCase()) ?? [];
  const size = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const value = Number(count) * (size ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatWhole(value: number, units: Record<string, number>): string {
  const [unit, size] = Object.entries(units).findLast(([, each]) => value % each === 0) ?? ['', 1];
  return `${value / size}${unit}`;
}
