/** Leases in Redis, and the index by which expired ones are found. */
import { encodeName } from './codec.ts';
import type { RedisContext } from './context.ts';
import { joinPair, splitPair } from './key-names.ts';
import type { RecentWrites } from './recent-writes.ts';
import { scripts } from './scripts.ts';

/** Registered partitions of nodes that are cached; beyond that, they are registered again. */
const MAX_CACHED_PARTITIONS = 100_000;
/** Gone nodes that are handled at a time. */
const MAX_GONE_NODES = 100;

interface Lease {
  node: string;
  /** Null while the lease is held. */
  until: number | null;
}

/**
 * Leases are stored with their keys. Expired ones are found by two kinds of hints. Every node registers the partitions in which
 * it has leases, before it acquires the first lease there. Every released lease is registered with its expiry time. So no scan of
 * rooms is needed, and the leases of a node that was killed are found by any other node.
 */
export class LeaseIndex {
  readonly #context: RedisContext;
  readonly #recentWrites: RecentWrites;
  readonly #registeredPartitions = new Map<string, Set<number>>();
  #registeredCount = 0;

  constructor(context: RedisContext, recentWrites: RecentWrites) {
    this.#context = context;
    this.#recentWrites = recentWrites;
  }

  /** Call this before an append gives a node a lease. */
  async prepareLease(room: string, { key, node }: { key: string; node: string }): Promise<void> {
    this.#recentWrites.forget(joinPair(room, key));
    await this.registerPartition(node, this.#context.keys.room(room).partition);
  }

  /** Call this before a node acquires a lease in the partition. */
  async registerPartition(node: string, partition: number): Promise<void> {
    if (this.#registeredPartitions.get(node)?.has(partition)) return;
    const replay = async () => this.#addPartitions(node, [partition]);
    await this.#recentWrites.run(`${node} ${partition}`, async () => this.#registerNode(node, partition), replay);
    if (this.#registeredCount === MAX_CACHED_PARTITIONS) {
      this.#registeredPartitions.clear();
      this.#registeredCount = 0;
    }
    this.#registeredCount += 1;
    this.#registeredPartitions.set(node, (this.#registeredPartitions.get(node) ?? new Set()).add(partition));
  }

  /** Returns whether Redis did not know the node: another node removed it as gone, or Redis lost its data. */
  async heartbeat(node: string, ttl: number): Promise<boolean> {
    const { redis, keys, now } = this.#context;
    const { partition, nodeExpiries: key } = keys.globalKeys;
    const isNew = await redis.runScript(scripts.heartbeat, {
      partition,
      keys: [key],
      args: [now(), node, String(ttl)],
      isRepeatable: true,
    });
    return isNew === 1 && this.#registeredPartitions.has(node);
  }

  /** Registers the partitions of all nodes again. The nodes that are alive send their own heartbeats. */
  async rewritePartitions(): Promise<void> {
    for (const [node, partitions] of this.#registeredPartitions) await this.#addPartitions(node, [...partitions]);
  }

  async acquireLease(room: string, { name, seq }: { name: string; seq: number }, node: string): Promise<boolean> {
    const { redis, keys } = this.#context;
    const { partition, keys: values, leases, nodeLeasesPrefix } = keys.room(room);
    await this.registerPartition(node, partition);
    const args = [room, name, String(seq), node];
    const call = { partition, keys: [values, leases, nodeLeasesPrefix], args, isRepeatable: true };
    return this.#recentWrites.run(joinPair(room, name), async () => (await redis.runScript(scripts.acquireLease, call)) === 1);
  }

  async releaseLease(room: string, key: string, node: string, ttl: number): Promise<void> {
    const { redis, keys, now } = this.#context;
    const { partition, leases } = keys.room(room);
    await this.#recentWrites.run(joinPair(room, key), async () => {
      const until = await redis.runScript(scripts.releaseLease, {
        partition,
        keys: [leases],
        args: [now(), key, node, String(ttl)],
        isRepeatable: true,
      });
      // After the release: if this process is killed in between, the lease is found as one of this node.
      if (until !== null) await this.#scheduleExpiry(String(until), joinPair(room, key));
    });
  }

  async expireLease(room: string, key: string, ttl: number): Promise<boolean> {
    const { redis, keys, now } = this.#context;
    const { partition, leases, nodeLeasesPrefix } = keys.room(room);
    const goneNode = await this.findGoneHolder(room, key);
    this.#recentWrites.forget(joinPair(room, key));
    // Before the change: if this process is killed in between, the hint is verified and registered with the right time.
    await redis.send(keys.globalKeys.partition, ['ZADD', keys.globalKeys.leaseExpiries, 'NX', '0', joinPair(room, key)]);
    const args = [now(), room, key, encodeName(goneNode), String(ttl)];
    const until = await redis.runScript(scripts.expireLease, { partition, keys: [leases, nodeLeasesPrefix], args, isRepeatable: true });
    if (until === null) return false;
    await this.#scheduleExpiry(String(until), joinPair(room, key));
    return true;
  }

  /**
   * The node of a held lease if it is gone: an append with `requiredExpiredLease` names it. A node that returns right then is too
   * late.
   */
  async findGoneHolder(room: string, key: string): Promise<string | undefined> {
    const lease = await this.#readLease(room, key);
    if (!lease || lease.until !== null) return undefined;
    const { redis, keys, now } = this.#context;
    const { partition, nodeExpiries } = keys.globalKeys;
    const isGone = await redis.runScript(scripts.isNodeGone, {
      partition,
      keys: [nodeExpiries],
      args: [now(), lease.node],
      isRepeatable: true,
    });
    return isGone === 1 ? lease.node : undefined;
  }

  async listExpiredLeases(limit: number): Promise<{ room: string; key: string }[]> {
    const { redis, keys, now } = this.#context;
    const { partition, nodeExpiries, leaseExpiries } = keys.globalKeys;
    const reply = await redis.runScript(scripts.findExpiredLeases, {
      partition,
      keys: [nodeExpiries, leaseExpiries],
      args: [now(), String(limit), String(MAX_GONE_NODES)],
      isRepeatable: true,
    });
    const [time, goneNodes, released] = reply as [string, string[], string[]];
    const found = new Map<string, Lease>();
    const staleHints: string[] = [];
    for (const [member, lease] of await this.#readLeases(released)) {
      if (typeof lease?.until !== 'number') staleHints.push(member);
      else if (lease.until <= Number(time)) found.set(member, lease);
      else await this.#scheduleExpiry(String(lease.until), member);
    }
    if (staleHints.length > 0)
      await redis.runScript(scripts.removeStaleHints, {
        partition,
        keys: [leaseExpiries],
        args: [time, ...staleHints],
        isRepeatable: true,
      });
    for (const node of goneNodes) if (found.size < limit) await this.#findLeasesOf(node, { time: Number(time), limit, found });
    return [...found.keys()].slice(0, limit).map((member) => ({ room: splitPair(member)[0], key: splitPair(member)[1] }));
  }

  async #findLeasesOf(node: string, { time, limit, found }: { time: number; limit: number; found: Map<string, Lease> }): Promise<void> {
    const { redis, keys } = this.#context;
    const { partition: globalPartition, nodeExpiries, nodePartitionsPrefix } = keys.globalKeys;
    let isEmpty = true;
    for (const partition of ((await redis.send(globalPartition, ['SMEMBERS', nodePartitionsPrefix + node])) as string[]).map(Number)) {
      if (found.size >= limit) return;
      const members = (await redis.send(partition, ['SRANDMEMBER', keys.nodeLeases(partition, node), String(limit)])) as string[];
      if (members.length > 0) isEmpty = false;
      for (const [member, lease] of await this.#readLeases(members)) {
        if (lease?.node === node && (lease.until ?? 0) <= time) found.set(member, lease);
      }
    }
    if (!isEmpty) return;
    const args = [String(time), node];
    await redis.runScript(scripts.removeStaleHints, {
      partition: globalPartition,
      keys: [nodeExpiries, nodePartitionsPrefix + node],
      args,
      isRepeatable: true,
    });
  }

  async #scheduleExpiry(until: string, member: string): Promise<void> {
    const { redis, keys } = this.#context;
    await redis.send(keys.globalKeys.partition, ['ZADD', keys.globalKeys.leaseExpiries, until, member]);
  }

  async #readLeases(members: string[]): Promise<[string, Lease | undefined][]> {
    return Promise.all(members.map(async (member) => [member, await this.#readLease(...splitPair(member))] as [string, Lease | undefined]));
  }

  async #readLease(room: string, key: string): Promise<Lease | undefined> {
    const { redis, keys } = this.#context;
    const { partition, leases } = keys.room(room);
    const text = await redis.send(partition, ['HGET', leases, key]);
    if (text === null) return undefined;
    const [node, until] = splitPair(String(text));
    return { node, until: until === '' ? null : Number(until) };
  }

  async #registerNode(node: string, partition: number): Promise<void> {
    const { redis, keys } = this.#context;
    // A node without a heartbeat counts as gone.
    const adding = redis.send(keys.globalKeys.partition, ['ZADD', keys.globalKeys.nodeExpiries, 'NX', '0', node]);
    await Promise.all([adding, this.#addPartitions(node, [partition])]);
  }

  async #addPartitions(node: string, partitions: number[]): Promise<void> {
    const { redis, keys } = this.#context;
    await redis.send(keys.globalKeys.partition, ['SADD', keys.globalKeys.nodePartitionsPrefix + node, ...partitions.map(String)]);
  }
}
