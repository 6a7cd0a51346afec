/** Reads what is asked of a room, in one call of `read.lua`. */
import type { Ask, Facts, ListedRoom } from '../store.ts';
import type { Reply } from './connection.ts';
import { scripts } from './scripts.ts';
import type { Surroundings } from './surroundings.ts';
import { entryOf, keyOf } from './texts.ts';

export async function readFacts(surroundings: Surroundings, room: string, ask: Ask): Promise<Facts> {
  return (await read(surroundings, room, ask)).facts;
}

/** Undefined without such a room. */
export async function readListed(surroundings: Surroundings, room: string, ask: Ask): Promise<ListedRoom | undefined> {
  const { facts, at } = await read(surroundings, room, ask);
  const { epoch, head, keys, counts } = facts;
  return epoch === null ? undefined : { room, epoch, head, at, keys, counts };
}

async function read(surroundings: Surroundings, name: string, ask: Ask): Promise<{ facts: Facts; at: number }> {
  const { keys = [], seqs = [], counts = [] } = ask;
  const { partition, room, log, keys: values, order, marks, leases } = surroundings.keys.room(name);
  const parents = counts.map((parent) => (parent === '' ? '' : `${parent}/`));
  const args = [keys, seqs.map(String), parents].flatMap((list) => [String(list.length), ...list]);
  const reply = await surroundings.nodes.run(scripts.read, {
    partition,
    keys: [room, log, values, order, marks, leases],
    args,
    mayRepeat: true,
  });
  return factsIn(reply as Reply[], { keys, seqs, counts });
}

function factsIn([epoch, head, at, bytes, ...lists]: Reply[], { keys, seqs, counts }: Required<Ask>): { facts: Facts; at: number } {
  const [values, entries, families] = lists as [Reply[], Reply[], Reply[][]];
  const facts: Facts = {
    epoch: epoch as string | null,
    head: Number(head ?? 0),
    bytes: Number(bytes ?? 0),
    keys: new Map(),
    entries: new Map(),
    counts: new Map(),
  };
  for (const [index, key] of keys.entries()) {
    const value = keyOf(values.slice(3 * index, 3 * index + 3) as [Reply, Reply, Reply]);
    if (value) facts.keys.set(key, value);
  }
  for (const [index, seq] of seqs.entries()) {
    const entry = entries[index];
    if (typeof entry === 'string') facts.entries.set(seq, entryOf(seq, entry));
  }
  for (const [index, parent] of counts.entries()) facts.counts.set(parent, new Map(pairs(families[index] ?? [])));
  return { facts, at: Number(at ?? 0) };
}

/** A list of names and values, two by two. */
const pairs = (list: Reply[]): [string, number][] =>
  Array.from({ length: list.length / 2 }, (_, index) => [String(list[2 * index]), list[2 * index + 1] as number]);
