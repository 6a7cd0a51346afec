import { hasRedis } from '../harness/redis-process.ts';
import { type Absence, measureRecovery, type RecoveryResult, type RunExclusive } from '../recovery/run.ts';
import { type RecoveryServer, recoveryServers } from '../recovery/servers.ts';
import type { Cell, Table } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const MISSED = [10, 1_000, 100_000];
const SHORT_MS = 1_000;
const LONG_MS = 180_000;

interface Case extends Absence {
  title: string;
  note: string;
}

const cases: Case[] = [
  {
    title: 'a drop of a second',
    note: 'The connection is reset for both sides.',
    noticed: true,
    lasts: SHORT_MS,
  },
  {
    title: 'a drop of a second that the server does not notice',
    note: 'As when a phone changes its network: the reader is back on another connection while the server still talks to the old one.',
    noticed: false,
    lasts: SHORT_MS,
  },
  {
    title: 'a restart of the server',
    note: 'SIGTERM, and a new start on the same port and data, half of what is missed before and half after. The network of the reader is lost just before.',
    noticed: false,
    lasts: SHORT_MS,
    ends: 'stop',
  },
  {
    title: 'kill -9 of the server',
    note: 'As above, with SIGKILL: to the server the reader was connected until it was killed.',
    noticed: false,
    lasts: SHORT_MS,
    ends: 'kill',
  },
  {
    title: 'a drop, then kill -9 of the server',
    note: 'As above, but the server has noticed that the reader is gone before it is killed.',
    noticed: true,
    lasts: SHORT_MS,
    ends: 'kill',
  },
  {
    title: 'a drop of three minutes',
    note: 'Three real minutes, with no clock and no setting touched: all of these servers wait at the same time, and work one after the other. Their heaps shrink meanwhile.',
    noticed: true,
    lasts: LONG_MS,
  },
];

const NOTE = [
  'Each run: a new server process with default settings (but no rates) and nothing in it; a reader with socket.io-client joins a room over a proxy,',
  'hears ten chats, loses his connection, and comes back when another member has said all that he misses (texts of 100 bytes), after',
  'the given time at least. All but resume:rooms is one client, which shows by itself which connection it was and what it heard last.',
  'Socket.IO: its connection state recovery, in memory, or with its Redis Streams adapter on a Redis of its own (append-only file).',
  'Recovered: share of what was missed that came in order, without anything being asked; with resume:rooms it is asked, 500 at a time.',
  'Time: from connecting to the last missed chat, all in the process that also makes the load.',
  'Memory: what VmRSS of the server (and its Redis) grew by from before anything was missed, after a restart from the new start,',
  'until all has come.',
].join(' ');

const NO_REDIS = 'WITHOUT Redis Streams: there is no redis-server on this machine (apt-get install redis-server).';

export const recovery: Scenario = {
  name: 'recovery',
  async run(bench) {
    if (!hasRedis()) bench.progress(`  ${NO_REDIS}`);
    return inOrder(cases, (absence) => measureCase(bench, absence));
  },
};

async function measureCase(bench: BenchContext, absence: Case): Promise<Table> {
  bench.progress(`recovery after ${absence.title}`);
  const possible = recoveryServers();
  const runs = MISSED.flatMap((missed) => possible.map((engine) => ({ missed, engine })));
  const inTurn = oneAtATime();
  const measure = async ({ engine, missed }: (typeof runs)[number]): Promise<Cell[]> => {
    const figures = await measureRecovery(bench, { engine, missed, absence, inTurn });
    bench.progress(`  ${missed} missed, ${engine.name}: ${(figures.share * 100).toFixed(1)} %`);
    return toRow(missed, engine, figures);
  };
  return {
    title: `Recovery after ${absence.title}`,
    note: [absence.note, ...(absence === cases[0] ? [NOTE] : []), ...(hasRedis() ? [] : [NO_REDIS])].join(' '),
    columns: [
      { name: 'missed' },
      { name: 'server' },
      { name: 'recovered', unit: '%' },
      { name: 'socket.recovered' },
      { name: 'repeated' },
      { name: 'time', unit: 'ms' },
      { name: 'memory', unit: 'MiB' },
    ],
    rows: absence.lasts > SHORT_MS ? await Promise.all(runs.map(measure)) : await inOrder(runs, measure),
  };
}

function toRow(missed: number, { name }: RecoveryServer, { share, recovered, repeated, time, growth }: RecoveryResult): Cell[] {
  const says = recovered === undefined ? '–' : recovered ? 'yes' : 'no';
  return [missed, name, share * 100, says, repeated, time, growth / 2 ** 20];
}

async function inOrder<Item, Result>(items: Item[], each: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await each(item));
  return results;
}

function oneAtATime(): RunExclusive {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine;
    return mine;
  };
}
