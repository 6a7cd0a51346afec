/** Maps SQLite rows to entries and keys, with the columns to select. */
import type { Entry, Json, KeyState } from '../contract.ts';
import type { Row } from './sqlite-driver.ts';

export const ENTRY_COLUMNS = 'seq, id, prev, at, tick, by, author, kind, body, quiet, listed';

/**
 * A lease that was taken from its node has no node. An imported lease has no node either, but has expired at time 0, unless it
 * was taken before the export.
 */
export const IS_MARKED_EXPIRED = `(leases.node = '' AND leases.until > 0)`;

/**
 * `held` is null without a lease, 1 for a held lease, 0 for a released one, and 2 for an expired one. The lease is found by the
 * key of the selected row.
 */
export const KEY_COLUMNS = `name, value, seq, mark,
    (SELECT CASE WHEN until IS NULL THEN 1 WHEN ${IS_MARKED_EXPIRED} THEN 2 ELSE 0 END FROM leases WHERE leases.room = keys.room AND leases.family = keys.family AND leases.name = keys.name) AS held`;

const LEASE_STATES = ['released', 'held', 'expired'] as const;

export const toKeyState = ({ value, seq, mark, held }: Row): KeyState => ({
  value: JSON.parse(String(value)) as Json,
  seq: Number(seq),
  ...(mark !== null && { mark: Number(mark) }),
  ...(held !== null && { lease: LEASE_STATES[Number(held)] }),
});

export function toEntry(row: Row): Entry {
  return {
    seq: Number(row.seq),
    id: String(row.id),
    prev: row.prev as string | null,
    at: Number(row.at),
    hlc: Number(row.tick),
    by: String(row.by),
    author: String(row.author),
    kind: String(row.kind),
    body: row.body === null ? null : (JSON.parse(String(row.body)) as { [name: string]: Json }),
    quiet: row.quiet === 1,
    listed: row.listed === 1,
  };
}
