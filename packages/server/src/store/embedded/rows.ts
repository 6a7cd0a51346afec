/** Rows as they are selected by every question that reads them. */
import type { Entry, Json, Key } from '../store.ts';
import type { Row } from './sqlite.ts';

export const ENTRY_COLUMNS = 'seq, id, prev, at, tick, by, author, kind, body, quiet, listed';

/** `held` is null without a lease, which is found by the name of its key, as it stands in the row that is read. */
export const KEY_COLUMNS = `name, value, seq, mark,
    (SELECT until IS NULL FROM leases WHERE leases.room = keys.room AND leases.family = keys.family AND leases.name = keys.name) AS held`;

export const toKey = ({ value, seq, mark, held }: Row): Key => ({
  value: JSON.parse(String(value)) as Json,
  seq: Number(seq),
  ...(mark !== null && { mark: Number(mark) }),
  ...(held !== null && { lease: held === 1 ? 'held' : 'released' }),
});

export function toEntry(row: Row): Entry {
  return {
    seq: Number(row.seq),
    id: String(row.id),
    prev: row.prev as string | null,
    at: Number(row.at),
    tick: Number(row.tick),
    by: String(row.by),
    author: String(row.author),
    kind: String(row.kind),
    body: row.body === null ? null : (JSON.parse(String(row.body)) as { [name: string]: Json }),
    quiet: row.quiet === 1,
    listed: row.listed === 1,
  };
}
