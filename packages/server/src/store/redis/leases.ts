import { pair, unpair } from './keys.ts';
import type { Lately } from './lately.ts';
import { scripts } from './scripts.ts';
import type { Surroundings } from './surroundings.ts';
import { named } from './texts.ts';

/** Partitions of nodes that are known to be written down; beyond, they are written down once more. */
const REMEMBERED = 100_000;
/** Nodes that are looked after at a time. */
const GONE_NODES = 100;

interface Lease {
  node: string;
  /** Null while it is held. */
  until: number | null;
}

/**
 * Leases are kept with their keys. Whose have run out is found by two hints: every node that beats has written down in
 * which partitions it has leases, before it got the first there; and every released lease is written down with its time.
 * So nobody ever looks through rooms, and a node that was killed is found by any other.
 */
export class Leases {
  readonly #surroundings: Surroundings;
  readonly #lately: Lately;
  readonly #writtenDown = new Map<string, Set<number>>();
  #remembered = 0;

  constructor(surroundings: Surroundings, lately: Lately) {
    this.#surroundings = surroundings;
    this.#lately = lately;
  }

  /** Before a node gets the lease of a key that an append sets. */
  async willTake(room: string, { key, node }: { key: string; node: string }): Promise<void> {
    this.#lately.forget(pair(room, key));
    await this.willHave(node, this.#surroundings.keys.room(room).partition);
  }

  /** Before a node gets a lease in a room. */
  async willHave(node: string, partition: number): Promise<void> {
    if (this.#writtenDown.get(node)?.has(partition)) return;
    const again = async () => this.#addPartitions(node, [partition]);
    await this.#lately.do(`${node} ${partition}`, async () => this.#writeDown(node, partition), again);
    if (this.#remembered === REMEMBERED) {
      this.#writtenDown.clear();
      this.#remembered = 0;
    }
    this.#remembered += 1;
    this.#writtenDown.set(node, (this.#writtenDown.get(node) ?? new Set()).add(partition));
  }

  /** Answers whether it is forgotten that the node was here: it was taken for dead, or everything was lost. */
  async beat(node: string, ttl: number): Promise<boolean> {
    const { nodes, keys, now } = this.#surroundings;
    const { partition, nodes: key } = keys.lobby;
    const isNew = await nodes.run(scripts.beat, { partition, keys: [key], args: [now(), node, String(ttl)], mayRepeat: true });
    return isNew === 1 && this.#writtenDown.has(node);
  }

  /** Writes down once more in which partitions nodes have leases. Those that live beat by themselves. */
  async writeDownAgain(): Promise<void> {
    for (const [node, partitions] of this.#writtenDown) await this.#addPartitions(node, [...partitions]);
  }

  async hold(room: string, { name, seq }: { name: string; seq: number }, node: string): Promise<boolean> {
    const { nodes, keys } = this.#surroundings;
    const { partition, keys: values, leases, held } = keys.room(room);
    await this.willHave(node, partition);
    const args = [room, name, String(seq), node];
    const holding = { partition, keys: [values, leases, held], args, mayRepeat: true };
    return this.#lately.do(pair(room, name), async () => (await nodes.run(scripts.hold, holding)) === 1);
  }

  async release(room: string, key: string, node: string, ttl: number): Promise<void> {
    const { nodes, keys, now } = this.#surroundings;
    const { partition, leases } = keys.room(room);
    await this.#lately.do(pair(room, key), async () => {
      const until = await nodes.run(scripts.release, { partition, keys: [leases], args: [now(), key, node, String(ttl)], mayRepeat: true });
      // Afterwards: if we are killed in between, the lease is found as one of ours.
      if (until !== null) await this.#willRunOut(String(until), pair(room, key));
    });
  }

  async setAside(room: string, key: string, ttl: number): Promise<boolean> {
    const { nodes, keys, now } = this.#surroundings;
    const { partition, leases, held } = keys.room(room);
    const gone = await this.goneHolderOf(room, key);
    this.#lately.forget(pair(room, key));
    // Before: if we are killed in between, it is looked up, and written down with its time.
    await nodes.command(keys.lobby.partition, ['ZADD', keys.lobby.due, 'NX', '0', pair(room, key)]);
    const args = [now(), room, key, named(gone), String(ttl)];
    const until = await nodes.run(scripts.setAside, { partition, keys: [leases, held], args, mayRepeat: true });
    if (until === null) return false;
    await this.#willRunOut(String(until), pair(room, key));
    return true;
  }

  /**
   * The node of a held lease, if that is gone: an append with `lapsed` rests on it. A node that comes back right then
   * comes too late.
   */
  async goneHolderOf(room: string, key: string): Promise<string | undefined> {
    const lease = await this.#find(room, key);
    if (!lease || lease.until !== null) return undefined;
    const { nodes, keys, now } = this.#surroundings;
    const { partition, nodes: beating } = keys.lobby;
    const isGone = await nodes.run(scripts.gone, { partition, keys: [beating], args: [now(), lease.node], mayRepeat: true });
    return isGone === 1 ? lease.node : undefined;
  }

  async lapsed(limit: number): Promise<{ room: string; key: string }[]> {
    const { nodes, keys, now } = this.#surroundings;
    const { partition, nodes: beating, due } = keys.lobby;
    const answer = await nodes.run(scripts.lapsed, {
      partition,
      keys: [beating, due],
      args: [now(), String(limit), String(GONE_NODES)],
      mayRepeat: true,
    });
    const [time, gone, released] = answer as [string, string[], string[]];
    const found = new Map<string, Lease>();
    const others: string[] = [];
    for (const [member, lease] of await this.#findAll(released)) {
      if (typeof lease?.until !== 'number') others.push(member);
      else if (lease.until <= Number(time)) found.set(member, lease);
      else await this.#willRunOut(String(lease.until), member);
    }
    if (others.length > 0) await nodes.run(scripts.strikeOut, { partition, keys: [due], args: [time, ...others], mayRepeat: true });
    for (const node of gone) if (found.size < limit) await this.#findThoseOf(node, { time: Number(time), limit, found });
    return [...found.keys()].slice(0, limit).map((member) => ({ room: unpair(member)[0], key: unpair(member)[1] }));
  }

  async #findThoseOf(node: string, { time, limit, found }: { time: number; limit: number; found: Map<string, Lease> }): Promise<void> {
    const { nodes, keys } = this.#surroundings;
    const { partition: lobby, nodes: beating, leased } = keys.lobby;
    let isEmpty = true;
    for (const partition of ((await nodes.command(lobby, ['SMEMBERS', leased + node])) as string[]).map(Number)) {
      if (found.size >= limit) return;
      const members = (await nodes.command(partition, ['SRANDMEMBER', keys.held(partition, node), String(limit)])) as string[];
      if (members.length > 0) isEmpty = false;
      for (const [member, lease] of await this.#findAll(members)) {
        if (lease?.node === node && (lease.until ?? 0) <= time) found.set(member, lease);
      }
    }
    if (!isEmpty) return;
    const args = [String(time), node];
    await nodes.run(scripts.strikeOut, { partition: lobby, keys: [beating, leased + node], args, mayRepeat: true });
  }

  async #willRunOut(until: string, member: string): Promise<void> {
    const { nodes, keys } = this.#surroundings;
    await nodes.command(keys.lobby.partition, ['ZADD', keys.lobby.due, until, member]);
  }

  async #findAll(members: string[]): Promise<[string, Lease | undefined][]> {
    return Promise.all(members.map(async (member) => [member, await this.#find(...unpair(member))] as [string, Lease | undefined]));
  }

  async #find(room: string, key: string): Promise<Lease | undefined> {
    const { nodes, keys } = this.#surroundings;
    const { partition, leases } = keys.room(room);
    const text = await nodes.command(partition, ['HGET', leases, key]);
    if (text === null) return undefined;
    const [node, until] = unpair(String(text));
    return { node, until: until === '' ? null : Number(until) };
  }

  async #writeDown(node: string, partition: number): Promise<void> {
    const { nodes, keys } = this.#surroundings;
    // A node that never beat is one that is gone.
    const beating = nodes.command(keys.lobby.partition, ['ZADD', keys.lobby.nodes, 'NX', '0', node]);
    await Promise.all([beating, this.#addPartitions(node, [partition])]);
  }

  async #addPartitions(node: string, partitions: number[]): Promise<void> {
    const { nodes, keys } = this.#surroundings;
    await nodes.command(keys.lobby.partition, ['SADD', keys.lobby.leased + node, ...partitions.map(String)]);
  }
}
