// What a reader receives after an absence, from Engawa and from Socket.IO's own recovery.
import type { ReturnMethod } from '../generator/generator.ts';
import { ENGAWA, isAvailable, type ServerKind, SOCKET_IO_RECOVERING, unavailableReason } from '../harness/server-kinds.ts';
import { type Absence, measureRecovery, type RunExclusive } from '../recovery/run.ts';
import type { Cell, Table } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const MISSED = { full: [10, 1_000, 100_000], quick: [100] };
const SHORT_MS = 1_000;
const LONG_MS = 180_000;

const QUICK = ['a drop of a second that the server does not notice', 'kill -9 of the server'];

interface Case extends Absence {
  title: string;
  note: string;
}

const cases: Case[] = [
  { title: 'a drop of a second', note: 'The connection is reset for both sides.', isNoticed: true, milliseconds: SHORT_MS },
  {
    title: 'a drop of a second that the server does not notice',
    note: 'As when a phone changes its network: the reader is back on a new connection while the server still sends to the old one.',
    isNoticed: false,
    milliseconds: SHORT_MS,
  },
  {
    title: 'a restart of the server',
    note: 'The connection is lost unnoticed, then SIGTERM and a new start on the same port and data, half of what is missed before and half after.',
    isNoticed: false,
    milliseconds: SHORT_MS,
    serverEnds: 'stop',
  },
  {
    title: 'kill -9 of the server',
    note: 'As above, with SIGKILL.',
    isNoticed: false,
    milliseconds: SHORT_MS,
    serverEnds: 'kill',
  },
  {
    title: 'a drop, then kill -9 of the server',
    note: 'As above, but the server notices that the reader is gone before it is killed.',
    isNoticed: true,
    milliseconds: SHORT_MS,
    serverEnds: 'kill',
  },
  {
    title: 'a drop of three minutes',
    note: 'Three real minutes. All servers wait at the same time, and work one after the other.',
    isNoticed: true,
    milliseconds: LONG_MS,
  },
];

const NOTE = [
  'Each run: a new server; a reader joins a room over a proxy, receives ten chats, loses its connection, and returns when another member has sent all that it misses (texts of 100 bytes).',
  'The reader shows which connection it was and the last event that it received, as a plain Socket.IO client; or it asks `resume:rooms`, 500 entries at a time, as the SDK.',
  "Socket.IO: its connection state recovery, in memory, or with its Redis Streams adapter. Recovered: share of what was missed that arrived in order. Time: from connecting to the last missed chat, with the reader's own work.",
].join(' ');

const readers: { name: string; kind: ServerKind; how: ReturnMethod }[] = [
  ...SOCKET_IO_RECOVERING.map((kind) => ({ name: kind.name, kind, how: 'session recovery' as const })),
  { name: 'Engawa, plain client', kind: ENGAWA, how: 'session recovery' },
  { name: 'Engawa, resume:rooms', kind: ENGAWA, how: 'resume:rooms' },
];

export const recovery: Scenario = {
  name: 'recovery',
  async run(bench) {
    const tables: Table[] = [];
    for (const absence of cases.filter(({ title }) => !bench.quick || QUICK.includes(title)))
      tables.push(await measureCase(bench, absence));
    return tables;
  },
};

async function measureCase(bench: BenchContext, absence: Case): Promise<Table> {
  bench.progress(`recovery after ${absence.title}`);
  const possible = readers.filter(({ kind }) => isAvailable(kind));
  const missing = readers.flatMap(({ kind }) => unavailableReason(kind) ?? []).map((reason) => `Not everything was measured: ${reason}.`);
  const runs = (bench.quick ? MISSED.quick : MISSED.full).flatMap((missed) => possible.map((reader) => ({ missed, reader })));
  const exclusively = createExclusive();
  const measure = async ({ missed, reader: { name, kind, how } }: (typeof runs)[number]): Promise<Cell[]> => {
    const { share, repeated, time, recovered } = await measureRecovery(bench, { kind, how, missed, absence, exclusively });
    bench.progress(`${missed} missed, ${name}: ${(share * 100).toFixed(1)} %`);
    return [missed, name, share * 100, recovered === undefined ? '–' : recovered ? 'yes' : 'no', repeated, time];
  };
  const rows: Cell[][] = absence.milliseconds > SHORT_MS ? await Promise.all(runs.map(measure)) : [];
  if (rows.length === 0) for (const run of runs) rows.push(await measure(run));
  return {
    title: `Recovery after ${absence.title}`,
    note: [absence.note, ...(absence === cases[0] ? [NOTE] : []), ...missing].join(' '),
    columns: [
      { name: 'missed' },
      { name: 'server' },
      { name: 'recovered', unit: '%' },
      { name: 'connection recognised' },
      { name: 'repeated' },
      { name: 'time', unit: 'ms' },
    ],
    rows,
  };
}

function createExclusive(): RunExclusive {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine;
    return mine;
  };
}
