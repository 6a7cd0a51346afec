import { type Random, randomFrom } from '@engawa/client/testing';
import type { ClusterNode, RedisCluster } from '../../../server/test/helpers/redis-servers.ts';
import { until } from '../../../server/test/helpers/waiting.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { type Account, Crowd } from './crowd.ts';
import { cutOffReplicas, newCluster, slotOfLobby, slotOfRoom } from './on-redis.ts';
import { ServerProcess } from './server-process.ts';
import type { StockTalker } from './talkers.ts';

/** Rounds that the same clients live through; after them it is calm, everything is checked, and others come. */
const ROUNDS_PER_CHAPTER = 10;
const NODES = 3;
const ROOMS = 5;
const CROWD = { sdk: 24, stock: 12, delays: { firstMs: 40, lastMs: 500, openMs: 3_000 }, isShaky: true, isBalanced: true };
/** Before each fault. */
const TALK_MS = [200, 1_500] as const;
const BACK_MS = 60_000;
/** In a room, after a fault: some were on their way before. */
const ACKED = 5;
/** A room that is lost as a whole is another one afterwards. */
const REPLICATED_MS = 1_000;

export type Durability = 'fast' | 'replicated';

interface RedisRounds {
  rounds: number;
  seed: number;
  durability: Durability;
  onChapter?: (figures: Figures) => void;
}

export interface Figures extends Account {
  rounds: number;
  /** Faults, by what they were. */
  struck: Record<string, number>;
  /** Milliseconds from a fault on until chats were acknowledged in all rooms, of each kind the longest. */
  longest: Record<string, number>;
  /** How often clients were told that a log is another one. */
  resets: number;
  /** Of the connections that stock clients made again. */
  stock: StockTalker['comebacks'];
}

interface Stage {
  cluster: RedisCluster;
  nodes: ServerProcess[];
  balancer: Balancer;
  random: Random;
  figures: Figures;
  durability: Durability;
}

/** Nodes and servers of a cluster are killed, frozen and moved about under clients that stay, until a fault is found. */
export async function strikeAgainAndAgain({ rounds, seed, durability, onChapter }: RedisRounds): Promise<Figures> {
  const stage = await setUp(seed, durability);
  const { figures } = stage;
  while (figures.rounds < rounds && figures.faults.length === 0) {
    await playChapter(stage, Math.min(ROUNDS_PER_CHAPTER, rounds - figures.rounds));
    onChapter?.(figures);
  }
  return figures;
}

async function setUp(seed: number, durability: Durability): Promise<Stage> {
  const cluster = await newCluster();
  const nodes = await Promise.all(Array.from({ length: NODES }, () => ServerProcess.start(cluster.url, { durability })));
  const balancer = await startBalancer(nodes.map(({ port }) => port));
  return { cluster, nodes, balancer, random: randomFrom(seed), figures: newFigures(), durability };
}

const newFigures = (): Figures => ({
  rounds: 0,
  struck: {},
  longest: {},
  acked: 0,
  repeated: 0,
  entries: 0,
  heard: 0,
  resets: 0,
  stock: { recovered: 0, newcomers: 0, strangers: 0 },
  faults: [],
});

async function playChapter(stage: Stage, rounds: number): Promise<void> {
  const { figures, random, balancer, cluster, durability } = stage;
  const roomIds = Array.from({ length: ROOMS }, (_, index) => `room/${figures.rounds}-${index}`);
  const crowd = new Crowd({ ...CROWD, url: balancer.url, roomIds, random });
  try {
    await until(() => crowd.talkers.every(({ isThere }) => isThere), 'all are there', BACK_MS);
    await sleep(REPLICATED_MS);
    for (let round = 0; round < rounds; round += 1) await playRound(stage, crowd, roomIds);
    figures.faults.push(...(await crowd.calm()));
    const { faults, ...counts } = await crowd.account(cluster.url, { stockMayLose: durability === 'fast' });
    figures.faults.push(...faults);
    for (const [name, count] of Object.entries(counts)) figures[name as keyof typeof counts] += count;
    countReturns(figures, crowd);
  } finally {
    crowd.close();
  }
}

function countReturns(figures: Figures, { talkers, stock }: Crowd): void {
  for (const { resets } of talkers) figures.resets += resets;
  for (const { comebacks } of stock) {
    for (const [name, count] of Object.entries(comebacks)) figures.stock[name as keyof typeof comebacks] += count;
  }
}

async function playRound(stage: Stage, crowd: Crowd, roomIds: string[]): Promise<void> {
  const { random, figures } = stage;
  const [least, most] = TALK_MS;
  await sleep(least + random() * (most - least));
  const [name, strike] = anyOf(random, Object.entries(STRIKES));
  const slot = anyOf(random, [slotOfLobby, ...roomIds.map(slotOfRoom)]);
  const enough = new Map(roomIds.map((roomId) => [roomId, crowd.ackedIn(roomId) + ACKED]));
  const begun = performance.now();
  await strike(stage, slot);
  await until(() => [...enough].every(([roomId, acked]) => crowd.ackedIn(roomId) >= acked), `all rooms go on after: ${name}`, BACK_MS);
  figures.rounds += 1;
  figures.struck[name] = (figures.struck[name] ?? 0) + 1;
  figures.longest[name] = Math.max(figures.longest[name] ?? 0, Math.round(performance.now() - begun));
}

type Strike = (stage: Stage, slot: number) => Promise<void>;

const STRIKES: Record<string, Strike> = {
  'a node is killed': async (stage) => {
    const killed = anyOf(stage.random, stage.nodes);
    await killed.kill();
    const next = await ServerProcess.start(stage.cluster.url, { durability: stage.durability });
    stage.nodes = [...stage.nodes.filter((node) => node !== killed), next];
    stage.balancer.ports = stage.nodes.map(({ port }) => port);
  },
  'a node stands still': async ({ nodes, random }) => {
    const node = anyOf(random, nodes);
    node.freeze();
    await sleep(random() * 3_000);
    node.thaw();
  },
  'a primary is killed': async ({ cluster }, slot) => replace(cluster, slot),
  'a primary is killed behind which its replica lags': async ({ cluster, random }, slot) => {
    await cutOffReplicas(await cluster.primaryOf(slot));
    await sleep(random() * 500);
    await replace(cluster, slot);
  },
  'a primary is started anew': async ({ cluster }, slot) => {
    const primary = await cluster.primaryOf(slot);
    await primary.kill();
    await primary.start();
    await cluster.waitUntilOk();
  },
  'a primary stands still': async ({ cluster, random }, slot) => {
    const primary = await cluster.primaryOf(slot);
    primary.stop();
    await sleep(random() * 4_000);
    primary.cont();
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
    await cluster.moveSlot(slot, anyOf(random, others), () => sleep(random() * 500));
    await cluster.waitUntilOk();
  },
  'subscriptions are ended': async ({ cluster }) => onAll(cluster, 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
  'connections are ended': async ({ cluster }) => onAll(cluster, 'CLIENT', 'KILL', 'TYPE', 'normal'),
  'scripts are forgotten': async ({ cluster }) => onAll(cluster, 'SCRIPT', 'FLUSH'),
};

/** By its replica; then it is there again, and follows. */
async function replace(cluster: RedisCluster, slot: number): Promise<void> {
  const primary = await cluster.primaryOf(slot);
  const replica = await cluster.replicaOf(primary);
  await primary.kill();
  await until(() => replica.isPrimary(), 'another is the primary', BACK_MS);
  await primary.start();
  await cluster.waitUntilOk();
}

async function primariesOf(cluster: RedisCluster): Promise<ClusterNode[]> {
  const are = await Promise.all(cluster.nodes.map((node) => node.isPrimary()));
  return cluster.nodes.filter((_, index) => are[index]);
}

async function onAll(cluster: RedisCluster, ...command: string[]): Promise<void> {
  await Promise.all((await primariesOf(cluster)).map((node) => node.cli(...command)));
}

const anyOf = <Item>(random: Random, items: Item[]): Item => items[Math.floor(random() * items.length)] as Item;

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
