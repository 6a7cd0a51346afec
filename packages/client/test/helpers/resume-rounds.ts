import { type Random, randomFrom } from '@engawa/client/testing';
import { type FaultyProxy, startProxy } from '../../../server/test/helpers/proxy.ts';
import { STARTED_WITHIN_MS, until, within } from '../../../server/test/helpers/server.ts';
import { ServerProcess } from '../../../server/test/helpers/server-process.ts';
import { type Account, Crowd } from './crowd.ts';
import type { StockTalker } from './talkers.ts';

/** Rounds that the same clients live through; after them it is calm, everything is checked, and others come. */
const ROUNDS_PER_CHAPTER = 50;
const ROOMS = 5;
/** In every other chapter, beginning with the first: most joins are quiet there. */
const LARGE_ROOM = ['--large-room', '3'];
/** They come back sooner than those of an application, so that there is time for many rounds. */
const CROWD = { sdk: 50, stock: 20, delays: { firstMs: 40, lastMs: 250, openMs: 3_000 } };
/** Of a hundred rounds, so many begin with a start that is killed within the time that a start takes. */
const KILLED_STARTS = 10;
const START_MS = 300;
/** A kill strikes so many milliseconds after a share of the clients is back. */
const SHARE_BACK = [0.4, 1] as const;
const KILL_DELAY_MS = 150;
/** If they are not back by then it strikes all the same; sooner in weather that lasts. */
const PATIENCE_MS = 3_000;
const LASTING_MS = 700;
const LASTING_WEATHER = 0.3;
const WEATHER_AFTER_MS = 200;
const WEATHER_MS = 400;

export interface ResumeRounds {
  rounds: number;
  seed: number;
  /** Where every server keeps its rooms. */
  place: string;
  onChapter?: (figures: Figures) => void;
}

export interface Figures extends Account {
  rounds: number;
  kills: number;
  /** Of the kills, those of servers that did not listen yet. */
  killedStarts: number;
  /** Rounds in which the network failed, too, by how it did. */
  weather: Record<string, number>;
  /** Kills that did not wait any longer for the clients to be back. */
  impatient: number;
  /** How often clients came back, to where they are told everything. */
  returns: number;
  /** Of the rounds of a chapter, the share in which the unluckiest client came back. */
  leastShare: number;
  /** Of the connections that stock clients made again. */
  stock: StockTalker['comebacks'];
  /** Most bytes that a server took up, and what this process does. */
  memory: { server: number; here: number };
}

/** Kills a server and starts it again, under clients that stay, on a network that fails, until a fault is found. */
export async function resumeAgainAndAgain({ rounds, seed, place, onChapter }: ResumeRounds): Promise<Figures> {
  const figures = newFigures();
  const random = randomFrom(seed);
  const proxy = await startProxy({ port: 1 }, { random });
  proxy.refuse(true);
  while (figures.rounds < rounds && figures.faults.length === 0) {
    const chapter = openChapter({ proxy, random, figures, place }, Math.min(ROUNDS_PER_CHAPTER, rounds - figures.rounds));
    try {
      for (let round = 0; round < chapter.rounds; round += 1) await playRound(chapter);
      figures.rounds += chapter.rounds;
      await checkChapter(chapter);
    } finally {
      chapter.crowd.close();
    }
    onChapter?.(figures);
  }
  return figures;
}

const newFigures = (): Figures => ({
  rounds: 0,
  kills: 0,
  killedStarts: 0,
  weather: {},
  impatient: 0,
  acked: 0,
  repeated: 0,
  entries: 0,
  heard: 0,
  returns: 0,
  leastShare: 1,
  stock: { recovered: 0, newcomers: 0, strangers: 0 },
  memory: { server: 0, here: 0 },
  faults: [],
});

interface Surroundings {
  proxy: FaultyProxy;
  random: Random;
  figures: Figures;
  place: string;
}

interface Chapter extends Surroundings {
  rounds: number;
  crowd: Crowd;
  flags: string[];
}

function openChapter(surroundings: Surroundings, rounds: number): Chapter {
  const { proxy, random, figures } = surroundings;
  const roomIds = Array.from({ length: ROOMS }, (_, index) => `room/${figures.rounds}-${index}`);
  const flags = (figures.rounds / ROUNDS_PER_CHAPTER) % 2 === 0 ? LARGE_ROOM : [];
  return { ...surroundings, rounds, flags, crowd: new Crowd({ ...CROWD, url: proxy.url, roomIds, random }) };
}

async function playRound(chapter: Chapter): Promise<void> {
  const { random, figures, place } = chapter;
  if (random() * 100 < KILLED_STARTS) {
    const unlucky = new ServerProcess(place);
    await sleep(random() * START_MS);
    await unlucky.kill();
    figures.killedStarts += 1;
    figures.kills += 1;
  }
  const server = await startServer(chapter);
  try {
    await letThemBack(chapter);
    await sleep(random() * KILL_DELAY_MS);
    figures.memory.server = Math.max(figures.memory.server, server.memory);
  } finally {
    await kill(server, chapter);
  }
}

/** Clients find it where its forerunner was. */
async function startServer({ proxy, place, flags }: Chapter): Promise<ServerProcess> {
  const server = new ServerProcess(place, flags);
  const url = await within(server.listening, 'a server to listen', STARTED_WITHIN_MS);
  proxy.retarget(Number(new URL(url).port));
  clear(proxy);
  return server;
}

async function kill(server: ServerProcess, { proxy, figures }: Surroundings): Promise<void> {
  await server.kill();
  proxy.refuse(true);
  figures.kills += 1;
}

/** Through whatever weather there is, until enough of them are back. */
async function letThemBack(chapter: Chapter): Promise<void> {
  const { random, figures, crowd } = chapter;
  const { talkers } = crowd;
  const isLasting = random() < LASTING_WEATHER;
  const [least, most] = SHARE_BACK;
  const enough = Math.floor(talkers.length * (least + random() * (most - least)));
  const before = talkers.map(({ returns }) => returns);
  const areBack = () => talkers.filter(({ returns }, index) => returns > (before[index] ?? 0)).length >= enough;
  const deadline = performance.now() + (isLasting ? LASTING_MS : PATIENCE_MS);
  await Promise.all([until(() => areBack() || performance.now() > deadline, 'enough of them are back'), haveWeather(chapter, isLasting)]);
  if (!areBack()) figures.impatient += 1;
}

const WEATHER: Record<string, (proxy: FaultyProxy, random: Random) => void> = {
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

/** What lasts is there until the next server is. */
async function haveWeather({ proxy, random, figures }: Surroundings, isLasting: boolean): Promise<void> {
  const names = Object.keys(WEATHER);
  const name = names[Math.floor(random() * names.length)] as string;
  await sleep(random() * WEATHER_AFTER_MS);
  WEATHER[name]?.(proxy, random);
  figures.weather[name] = (figures.weather[name] ?? 0) + 1;
  if (isLasting) return;
  await sleep(random() * WEATHER_MS);
  clear(proxy);
}

function clear(proxy: FaultyProxy): void {
  proxy.flap(0);
  proxy.refuse(false);
  proxy.cutAfter({});
  proxy.delay(0);
  proxy.throttle(Infinity);
  proxy.stutter({ share: 0, ms: 0 });
  proxy.stall(false);
}

async function checkChapter(chapter: Chapter): Promise<void> {
  const { crowd, figures, place } = chapter;
  const server = await startServer(chapter);
  try {
    figures.faults.push(...(await crowd.calm()));
    figures.memory.server = Math.max(figures.memory.server, server.memory);
  } finally {
    await kill(server, chapter);
  }
  const { faults, ...counts } = await crowd.account(place);
  figures.faults.push(...faults);
  for (const [name, count] of Object.entries(counts)) figures[name as keyof typeof counts] += count;
  countReturns(chapter);
}

function countReturns({ crowd: { talkers, stock }, figures, rounds }: Chapter): void {
  const returns = talkers.map((talker) => talker.returns);
  figures.returns += returns.reduce((sum, each) => sum + each, 0);
  figures.leastShare = Math.min(figures.leastShare, ...returns.map((each) => each / rounds));
  for (const { comebacks } of stock) {
    for (const [name, count] of Object.entries(comebacks)) figures.stock[name as keyof typeof comebacks] += count;
  }
  figures.memory.here = process.memoryUsage().rss;
}

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
