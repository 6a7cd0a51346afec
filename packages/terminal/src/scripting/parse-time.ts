// Parses durations, counts and `--since` values of the command line.
import { UsageError } from '../command-line/subcommand.ts';

const UNIT_MS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
/** `setTimeout` fires at once for a longer delay. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Milliseconds of a duration such as `90s`, `10m` or `1h30m`; a bare number is seconds. */
export function parseDuration(text: string, option: string): number {
  const milliseconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : sumDurationParts(text);
  if (milliseconds === undefined) throw new UsageError(`${option} must be a time such as 90s, 10m or 1h30m (given: ${text})`);
  return Math.min(milliseconds, MAX_TIMER_MS);
}

function sumDurationParts(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return undefined;
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g);
  return [...parts].reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNIT_MS.get(unit) ?? 0), 0);
}

/** Where to start: after the cursor, after a seq, at a time in ms since 1970, or `ms` milliseconds ago (clock of the server). */
export type Since = { kind: 'mark' } | { kind: 'seq'; seq: number } | { kind: 'time'; at: number } | { kind: 'age'; ms: number };

export function parseSince(text: string): Since {
  if (text === 'mark') return { kind: 'mark' };
  if (/^\d{1,15}$/.test(text)) return { kind: 'seq', seq: Number(text) };
  const ago = sumDurationParts(text);
  if (ago !== undefined) return { kind: 'age', ms: ago };
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text) : Number.NaN;
  if (Number.isNaN(at)) throw new UsageError(`--since must be mark, a seq, a time as 2026-11-24T09:30, or an age as 10m (given: ${text})`);
  return { kind: 'time', at };
}

export function parseCount(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${option} must be a whole number (given: ${text})`);
  return Number(text);
}
