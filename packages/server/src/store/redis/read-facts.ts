/** Reads facts of a room in one call of `read-keys.lua`. */
import type { ReadQuery, RoomFacts, RoomSummary } from '../contract.ts';
import { decodeEntry, decodeKey } from './codec.ts';
import type { RedisContext } from './context.ts';
import type { Reply } from './redis-connection.ts';
import { scripts } from './scripts.ts';

export async function readFacts(context: RedisContext, room: string, query: ReadQuery): Promise<RoomFacts> {
  return (await readRoom(context, room, query)).facts;
}

/** Undefined if the room does not exist. */
export async function readRoomSummary(context: RedisContext, room: string, query: ReadQuery): Promise<RoomSummary | undefined> {
  const { facts, at } = await readRoom(context, room, query);
  const { epoch, head, keys, counts } = facts;
  return epoch === null ? undefined : { room, epoch, head, at, keys, counts };
}

async function readRoom(context: RedisContext, name: string, query: ReadQuery): Promise<{ facts: RoomFacts; at: number }> {
  const { keys = [], seqs = [], counts = [] } = query;
  const { partition, room, log, keys: values, sortedKeys, marks, leases } = context.keys.room(name);
  const parents = counts.map((parent) => (parent === '' ? '' : `${parent}/`));
  const args = [keys, seqs.map(String), parents].flatMap((list) => [String(list.length), ...list]);
  const reply = await context.redis.runScript(scripts.read, {
    partition,
    keys: [room, log, values, sortedKeys, marks, leases],
    args,
    isRepeatable: true,
  });
  return decodeFacts(reply as Reply[], { keys, seqs, counts });
}

function decodeFacts(
  [epoch, head, at, bytes, ...lists]: Reply[],
  { keys, seqs, counts }: Required<ReadQuery>,
): { facts: RoomFacts; at: number } {
  const [values, entries, families] = lists as [Reply[], Reply[], Reply[][]];
  const facts: RoomFacts = {
    epoch: epoch as string | null,
    head: Number(head ?? 0),
    bytes: Number(bytes ?? 0),
    keys: new Map(),
    entries: new Map(),
    counts: new Map(),
  };
  for (const [index, key] of keys.entries()) {
    const value = decodeKey(values.slice(3 * index, 3 * index + 3) as [Reply, Reply, Reply]);
    if (value) facts.keys.set(key, value);
  }
  for (const [index, seq] of seqs.entries()) {
    const entry = entries[index];
    if (typeof entry === 'string') facts.entries.set(seq, decodeEntry(seq, entry));
  }
  for (const [index, parent] of counts.entries()) facts.counts.set(parent, new Map(toPairs(families[index] ?? [])));
  return { facts, at: Number(at ?? 0) };
}

/** Splits a flat list of names and values into pairs. */
const toPairs = (list: Reply[]): [string, number][] =>
  Array.from({ length: list.length / 2 }, (_, index) => [String(list[2 * index]), list[2 * index + 1] as number]);
