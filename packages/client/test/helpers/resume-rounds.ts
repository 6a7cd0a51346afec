/** Rounds that kill the server under staying clients on a faulty network, until a fault is found. */
import { type Random, randomFrom } from '@engawa/client/testing';
import { RandomActorGroup, type RunReport } from '@engawa/testkit/actors/random-actor-group';
import type { SocketIoRandomActor } from '@engawa/testkit/actors/random-actors';
import { STARTED_WITHIN_MS, until, withTimeout } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { type FaultyProxy, startProxy } from '@engawa/testkit/proxies/faulty-proxy';

/** Rounds with the same clients. After them all faults end, everything is checked, and new clients start. */
const ROUNDS_PER_CHAPTER = 50;
const ROOMS = 5;
/** For every other chapter, from the first on: most of its joins are not broadcast. */
const LARGE_ROOM = ['--large-room-threshold', '3'];
/** They reconnect sooner than those of an application, to allow many rounds. */
const GROUP = { sdk: 50, socketIo: 20, delays: { firstMs: 40, lastMs: 250, openMs: 3_000 } };
/** Of a hundred rounds, this many begin with a server that is killed while it starts. */
const KILLED_STARTS = 10;
const START_MS = 300;
/** The share of the clients that has to be connected again before a kill. */
const RECONNECTED_SHARE = [0.4, 1] as const;
const KILL_DELAY_MS = 150;
/** The time after which a kill does not wait any longer; shorter while a network fault persists. */
const RECONNECT_TIMEOUT_MS = 3_000;
const PERSISTENT_FAULT_TIMEOUT_MS = 700;
const PERSISTENT_FAULT_SHARE = 0.3;
const FAULT_DELAY_MS = 200;
const FAULT_DURATION_MS = 400;

export interface ResumeRoundsOptions {
  rounds: number;
  seed: number;
  /** The store of all servers. */
  storeLocation: string;
  onChapter?: (figures: ResumeReport) => void;
}

export interface ResumeReport extends RunReport {
  rounds: number;
  kills: number;
  /** Of the kills, those of servers that did not listen yet. */
  killedStarts: number;
  /** Rounds with a network fault, by kind. */
  networkFaults: Record<string, number>;
  /** Kills that did not wait any longer for the clients. */
  timedOutWaits: number;
  /** How often clients became live. */
  arrivals: number;
  /** The smallest share of a chapter's rounds in which one client was live again. */
  minReconnectShare: number;
  /** The reconnections of plain Socket.IO clients. */
  socketIo: SocketIoRandomActor['reconnections'];
  /** The largest memory of a server, and of this process, in bytes. */
  memory: { server: number; here: number };
}

/** Kills a server and restarts it, under clients that stay, on a network with faults, until a fault is found. */
export async function runResumeRounds({ rounds, seed, storeLocation, onChapter }: ResumeRoundsOptions): Promise<ResumeReport> {
  const figures = newFigures();
  const random = randomFrom(seed);
  const proxy = await startProxy({ port: 1 }, { random });
  proxy.refuse(true);
  while (figures.rounds < rounds && figures.faults.length === 0) {
    const chapter = openChapter({ proxy, random, figures, storeLocation }, Math.min(ROUNDS_PER_CHAPTER, rounds - figures.rounds));
    try {
      for (let round = 0; round < chapter.rounds; round += 1) await playRound(chapter);
      figures.rounds += chapter.rounds;
      await checkChapter(chapter);
    } finally {
      chapter.group.close();
    }
    onChapter?.(figures);
  }
  return figures;
}

const newFigures = (): ResumeReport => ({
  rounds: 0,
  kills: 0,
  killedStarts: 0,
  networkFaults: {},
  timedOutWaits: 0,
  acknowledged: 0,
  repeated: 0,
  entries: 0,
  received: 0,
  arrivals: 0,
  minReconnectShare: 1,
  socketIo: { recovered: 0, newcomers: 0, unknownClients: 0 },
  memory: { server: 0, here: 0 },
  faults: [],
});

interface RoundContext {
  proxy: FaultyProxy;
  random: Random;
  figures: ResumeReport;
  storeLocation: string;
}

interface Chapter extends RoundContext {
  rounds: number;
  group: RandomActorGroup;
  flags: string[];
}

function openChapter(context: RoundContext, rounds: number): Chapter {
  const { proxy, random, figures } = context;
  const roomIds = Array.from({ length: ROOMS }, (_, index) => `room/${figures.rounds}-${index}`);
  const flags = (figures.rounds / ROUNDS_PER_CHAPTER) % 2 === 0 ? LARGE_ROOM : [];
  return { ...context, rounds, flags, group: new RandomActorGroup({ ...GROUP, url: proxy.url, roomIds, random }) };
}

async function playRound(chapter: Chapter): Promise<void> {
  const { random, figures, storeLocation } = chapter;
  if (random() * 100 < KILLED_STARTS) {
    const killedServer = new ServerProcess(storeLocation);
    await sleep(random() * START_MS);
    await killedServer.kill();
    figures.killedStarts += 1;
    figures.kills += 1;
  }
  const server = await startServer(chapter);
  try {
    await waitForReconnects(chapter);
    await sleep(random() * KILL_DELAY_MS);
    figures.memory.server = Math.max(figures.memory.server, server.memoryBytes);
  } finally {
    await kill(server, chapter);
  }
}

/** Clients find it at the address of its predecessor. */
async function startServer({ proxy, storeLocation, flags }: Chapter): Promise<ServerProcess> {
  const server = new ServerProcess(storeLocation, { flags });
  const url = await withTimeout(server.listening, 'a server to listen', STARTED_WITHIN_MS);
  proxy.retarget(Number(new URL(url).port));
  clearNetworkFaults(proxy);
  return server;
}

async function kill(server: ServerProcess, { proxy, figures }: RoundContext): Promise<void> {
  await server.kill();
  proxy.refuse(true);
  figures.kills += 1;
}

/** Waits, with any network fault, until enough clients are connected again. */
async function waitForReconnects(chapter: Chapter): Promise<void> {
  const { random, figures, group } = chapter;
  const { actors } = group;
  const isPersistent = random() < PERSISTENT_FAULT_SHARE;
  const [least, most] = RECONNECTED_SHARE;
  const required = Math.floor(actors.length * (least + random() * (most - least)));
  const before = actors.map(({ arrivals }) => arrivals);
  const areBack = () => actors.filter(({ arrivals }, index) => arrivals > (before[index] ?? 0)).length >= required;
  const deadline = performance.now() + (isPersistent ? PERSISTENT_FAULT_TIMEOUT_MS : RECONNECT_TIMEOUT_MS);
  await Promise.all([
    until(() => areBack() || performance.now() > deadline, 'enough of them are back'),
    injectNetworkFault(chapter, isPersistent),
  ]);
  if (!areBack()) figures.timedOutWaits += 1;
}

const NETWORK_FAULTS: Record<string, (proxy: FaultyProxy, random: Random) => void> = {
  fair: () => undefined,
  'all are cut': (proxy) => proxy.cut(),
  'some are cut': (proxy) => proxy.cut(0.3),
  'cut after some bytes': (proxy, random) => proxy.cutAfter({ bytes: 2_000 + random() * 30_000 }),
  'cut again and again': (proxy) => proxy.flap(100),
  refused: (proxy) => proxy.refuse(true),
  slow: (proxy, random) => proxy.delay(random() * 30, 30),
  narrow: (proxy, random) => proxy.throttle(10_000 + random() * 50_000),
  stuttering: (proxy) => proxy.stutter({ share: 0.1, ms: 100 }),
  stalled: (proxy) => proxy.stall(true),
};

/** A persistent fault ends when the next server is up. */
async function injectNetworkFault({ proxy, random, figures }: RoundContext, isPersistent: boolean): Promise<void> {
  const names = Object.keys(NETWORK_FAULTS);
  const name = names[Math.floor(random() * names.length)] as string;
  await sleep(random() * FAULT_DELAY_MS);
  NETWORK_FAULTS[name]?.(proxy, random);
  figures.networkFaults[name] = (figures.networkFaults[name] ?? 0) + 1;
  if (isPersistent) return;
  await sleep(random() * FAULT_DURATION_MS);
  clearNetworkFaults(proxy);
}

function clearNetworkFaults(proxy: FaultyProxy): void {
  proxy.flap(0);
  proxy.refuse(false);
  proxy.cutAfter({});
  proxy.delay(0);
  proxy.throttle(Infinity);
  proxy.stutter({ share: 0, ms: 0 });
  proxy.stall(false);
}

async function checkChapter(chapter: Chapter): Promise<void> {
  const { group, figures, storeLocation } = chapter;
  const server = await startServer(chapter);
  try {
    figures.faults.push(...(await group.waitUntilConsistent()));
    figures.memory.server = Math.max(figures.memory.server, server.memoryBytes);
  } finally {
    await kill(server, chapter);
  }
  const { faults, ...counts } = await group.report(storeLocation);
  figures.faults.push(...faults);
  for (const [name, count] of Object.entries(counts)) figures[name as keyof typeof counts] += count;
  addReconnects(chapter);
}

function addReconnects({ group: { actors, socketIo }, figures, rounds }: Chapter): void {
  const returns = actors.map((talker) => talker.arrivals);
  figures.arrivals += returns.reduce((sum, each) => sum + each, 0);
  figures.minReconnectShare = Math.min(figures.minReconnectShare, ...returns.map((each) => each / rounds));
  for (const { reconnections } of socketIo) {
    for (const [name, count] of Object.entries(reconnections)) figures.socketIo[name as keyof typeof reconnections] += count;
  }
  figures.memory.here = process.memoryUsage().rss;
}

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
