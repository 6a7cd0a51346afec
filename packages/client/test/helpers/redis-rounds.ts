/** Rounds of faults in a Redis Cluster and in nodes under staying clients, until a fault is found. */
import { type Random, randomFrom } from '@engawa/client/testing';
import { RandomActorGroup, type RunReport } from '@engawa/testkit/actors/random-actor-group';
import type { SocketIoRandomActor } from '@engawa/testkit/actors/random-actors';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { type Balancer, startBalancer } from '@engawa/testkit/proxies/balancer';
import type { ClusterNode, RedisCluster } from '@engawa/testkit/redis/redis-servers';
import { newCluster } from '@engawa/testkit/redis/test-redis';
import { until } from '@engawa/testkit/wait-for';
import { detachReplicas, globalKeysSlot, slotOfRoom } from './on-redis.ts';

/** Rounds with the same clients. After them all faults end, everything is checked, and new clients start. */
const ROUNDS_PER_CHAPTER = 10;
const NODES = 3;
const ROOMS = 5;
const GROUP = { sdk: 24, socketIo: 12, delays: { firstMs: 40, lastMs: 500, openMs: 3_000 }, isShaky: true, isBalanced: true };
/** The range of the pause before each fault. */
const BEFORE_FAULT_MS = [200, 1_500] as const;
const RECOVERY_TIMEOUT_MS = 60_000;
/** Acknowledgements to wait for in each room after a fault: some may have been in flight before it. */
const REQUIRED_ACKS = 5;
/** A room that is lost as a whole is replaced by a new one: wait until rooms are replicated. */
const REPLICATED_MS = 1_000;

export type Durability = 'fast' | 'replicated';

interface RedisRoundsOptions {
  rounds: number;
  seed: number;
  durability: Durability;
  onChapter?: (figures: RedisReport) => void;
}

export interface RedisReport extends RunReport {
  rounds: number;
  /** Number of faults by kind. */
  faultCounts: Record<string, number>;
  /** Milliseconds from a fault until chats were acknowledged in all rooms; the longest for each kind. */
  maxRecoveryMs: Record<string, number>;
  /** How often clients received a reset. */
  resets: number;
  /** The reconnections of plain Socket.IO clients. */
  socketIo: SocketIoRandomActor['reconnections'];
}

interface RoundContext {
  cluster: RedisCluster;
  nodes: ServerProcess[];
  balancer: Balancer;
  random: Random;
  report: RedisReport;
  durability: Durability;
}

/** Kills, freezes and moves nodes and servers of a cluster under clients that stay, until a fault is found. */
export async function runRedisRounds({ rounds, seed, durability, onChapter }: RedisRoundsOptions): Promise<RedisReport> {
  const stage = await setUp(seed, durability);
  const { report } = stage;
  while (report.rounds < rounds && report.faults.length === 0) {
    await playChapter(stage, Math.min(ROUNDS_PER_CHAPTER, rounds - report.rounds));
    onChapter?.(report);
  }
  return report;
}

async function setUp(seed: number, durability: Durability): Promise<RoundContext> {
  const cluster = await newCluster();
  const nodes = await Promise.all(Array.from({ length: NODES }, () => ServerProcess.start(cluster.url, { durability })));
  const balancer = await startBalancer(nodes.map(({ port }) => port));
  return { cluster, nodes, balancer, random: randomFrom(seed), report: newFigures(), durability };
}

const newFigures = (): RedisReport => ({
  rounds: 0,
  faultCounts: {},
  maxRecoveryMs: {},
  acknowledged: 0,
  repeated: 0,
  entries: 0,
  received: 0,
  resets: 0,
  socketIo: { recovered: 0, newcomers: 0, unknownClients: 0 },
  faults: [],
});

async function playChapter(stage: RoundContext, rounds: number): Promise<void> {
  const { report, random, balancer, cluster, durability } = stage;
  const roomIds = Array.from({ length: ROOMS }, (_, index) => `room/${report.rounds}-${index}`);
  const group = new RandomActorGroup({ ...GROUP, url: balancer.url, roomIds, random });
  try {
    await until(() => group.actors.every(({ isLive }) => isLive), 'all are there', RECOVERY_TIMEOUT_MS);
    await sleep(REPLICATED_MS);
    for (let round = 0; round < rounds; round += 1) await playRound(stage, group, roomIds);
    report.faults.push(...(await group.waitUntilConsistent()));
    const { faults, ...counts } = await group.report(cluster.url, { plainClientsMayLose: durability === 'fast' });
    report.faults.push(...faults);
    for (const [name, count] of Object.entries(counts)) report[name as keyof typeof counts] += count;
    addReconnects(report, group);
  } finally {
    group.close();
  }
}

function addReconnects(figures: RedisReport, { actors, socketIo }: RandomActorGroup): void {
  for (const { resets } of actors) figures.resets += resets;
  for (const { reconnections } of socketIo) {
    for (const [name, count] of Object.entries(reconnections)) figures.socketIo[name as keyof typeof reconnections] += count;
  }
}

async function playRound(stage: RoundContext, group: RandomActorGroup, roomIds: string[]): Promise<void> {
  const { random, report } = stage;
  const [least, most] = BEFORE_FAULT_MS;
  await sleep(least + random() * (most - least));
  const [name, injectFault] = pickRandom(random, Object.entries(FAULTS));
  const slot = pickRandom(random, [globalKeysSlot, ...roomIds.map(slotOfRoom)]);
  const required = new Map(roomIds.map((roomId) => [roomId, group.acknowledgedIn(roomId) + REQUIRED_ACKS]));
  const startedAt = performance.now();
  await injectFault(stage, slot);
  await until(
    () => [...required].every(([roomId, acked]) => group.acknowledgedIn(roomId) >= acked),
    `all rooms go on after: ${name}`,
    RECOVERY_TIMEOUT_MS,
  );
  report.rounds += 1;
  report.faultCounts[name] = (report.faultCounts[name] ?? 0) + 1;
  report.maxRecoveryMs[name] = Math.max(report.maxRecoveryMs[name] ?? 0, Math.round(performance.now() - startedAt));
}

type Fault = (stage: RoundContext, slot: number) => Promise<void>;

const FAULTS: Record<string, Fault> = {
  'a node is killed': async (stage) => {
    const killed = pickRandom(stage.random, stage.nodes);
    await killed.kill();
    const next = await ServerProcess.start(stage.cluster.url, { durability: stage.durability });
    stage.nodes = [...stage.nodes.filter((node) => node !== killed), next];
    stage.balancer.ports = stage.nodes.map(({ port }) => port);
  },
  'a node stands still': async ({ nodes, random }) => {
    const node = pickRandom(random, nodes);
    node.freeze();
    await sleep(random() * 3_000);
    node.thaw();
  },
  'a primary is killed': async ({ cluster }, slot) => failOverAndRestart(cluster, slot),
  'a primary is killed behind which its replica lags': async ({ cluster, random }, slot) => {
    await detachReplicas(await cluster.primaryOf(slot));
    await sleep(random() * 500);
    await failOverAndRestart(cluster, slot);
  },
  'a primary is started anew': async ({ cluster }, slot) => {
    const primary = await cluster.primaryOf(slot);
    await primary.kill();
    await primary.start();
    await cluster.waitUntilOk();
  },
  'a primary stands still': async ({ cluster, random }, slot) => {
    const primary = await cluster.primaryOf(slot);
    primary.freeze();
    await sleep(random() * 4_000);
    primary.thaw();
    await cluster.waitUntilOk();
  },
  'a primary steps down': async ({ cluster }, slot) => {
    await cluster.failover(await cluster.replicaOf(await cluster.primaryOf(slot)));
    await cluster.waitUntilOk();
  },
  'a replica is killed': async ({ cluster }, slot) => {
    const replica = await cluster.replicaOf(await cluster.primaryOf(slot));
    await replica.kill();
    await replica.start();
    await cluster.waitUntilOk();
  },
  'a slot is moved': async ({ cluster, random }, slot) => {
    const [from, primaries] = [await cluster.primaryOf(slot), await primariesOf(cluster)];
    const others = primaries.filter((node) => node !== from);
    await cluster.moveSlot(slot, pickRandom(random, others), () => sleep(random() * 500));
    await cluster.waitUntilOk();
  },
  'subscriptions are ended': async ({ cluster }) => runOnAllPrimaries(cluster, 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
  'connections are ended': async ({ cluster }) => runOnAllPrimaries(cluster, 'CLIENT', 'KILL', 'TYPE', 'normal'),
  'scripts are forgotten': async ({ cluster }) => runOnAllPrimaries(cluster, 'SCRIPT', 'FLUSH'),
};

/** Fails over to the replica; then the old primary restarts and follows. */
async function failOverAndRestart(cluster: RedisCluster, slot: number): Promise<void> {
  const primary = await cluster.primaryOf(slot);
  const replica = await cluster.replicaOf(primary);
  await primary.kill();
  await until(() => replica.isPrimary(), 'another is the primary', RECOVERY_TIMEOUT_MS);
  await primary.start();
  await cluster.waitUntilOk();
}

async function primariesOf(cluster: RedisCluster): Promise<ClusterNode[]> {
  const are = await Promise.all(cluster.nodes.map((node) => node.isPrimary()));
  return cluster.nodes.filter((_, index) => are[index]);
}

async function runOnAllPrimaries(cluster: RedisCluster, ...command: string[]): Promise<void> {
  await Promise.all((await primariesOf(cluster)).map((node) => node.runCommand(...command)));
}

const pickRandom = <Item>(random: Random, items: Item[]): Item => items[Math.floor(random() * items.length)] as Item;

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
