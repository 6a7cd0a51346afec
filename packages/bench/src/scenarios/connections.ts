import { setTimeout as sleep } from 'node:timers/promises';
import { withLoadGenerator } from '../generator/generator.ts';
import { maxConnections } from '../harness/fd-limit.ts';
import { ENGAWA, type ServerKind, SOCKET_IO, TUTORIAL, unavailableReason, withServerOf } from '../harness/server-kinds.ts';
import { type KernelMemory, kernelMemory } from '../profiling/kernel-memory.ts';
import { residentBytes } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import { type BenchContext, roundsText, type Scenario } from '../scenario.ts';

const PER_ROOM = 10;
const COUNTS = { full: { accepted: 5_000, joined: 15_000 }, quick: { accepted: 1_000, joined: 2_000 } };
/** Until a server has done what it does some time after somebody came. */
const SETTLE_MS = { full: 5_000, quick: 500 };
const PATIENCE_MS = 60_000;
const KIBI = 1024;

type Figures = Record<'perSecond' | 'joined' | 'before' | 'resident' | 'slab' | 'tcp', number>;

export const connections: Scenario = {
  name: 'connections',
  async run(bench) {
    const form = bench.quick ? 'quick' : 'full';
    const joined = maxConnections(COUNTS[form].joined);
    const cases = [ENGAWA, TUTORIAL, SOCKET_IO]
      .filter((kind) => unavailableReason(kind) === undefined)
      .map((kind) => ({ kind, rounds: [] as Figures[] }));
    for (let round = 0; round < bench.rounds; round += 1) {
      for (const { kind, rounds } of cases) {
        bench.progress(`${kind.name}: connections`);
        rounds.push(await measure(bench, kind, { accepted: COUNTS[form].accepted, joined, settleMs: SETTLE_MS[form] }));
      }
    }
    return [
      {
        title: 'Connections',
        note: noteOf(COUNTS[form].accepted, bench),
        columns: [
          { name: 'server' },
          { name: 'accepted', unit: '1/s' },
          { name: 'joined' },
          { name: 'before', unit: 'MiB' },
          { name: 'resident', unit: 'MiB' },
          { name: 'a connection', unit: 'KiB' },
          { name: 'kernel objects', unit: 'KiB' },
          { name: 'kernel buffers', unit: 'KiB' },
        ],
        rows: cases.map(({ kind, rounds }) => toRow(kind, medians(rounds))),
      },
    ];
  },
};

const noteOf = (accepted: number, bench: BenchContext): string =>
  [
    `Accepted: how many connections a second are taken, Socket.IO's CONNECT answered, where ${accepted.toLocaleString('en-US')} come and a hundred are on their way at any time. Then, on a new server,`,
    `so many members join rooms of ${PER_ROOM} and do nothing: VmRSS of the server before anybody came and a while after the last one did, and the difference for each; no garbage collection is forced.`,
    'Kernel memory is that of the whole machine, and both ends of each connection are on it: its own objects (slab) and what TCP holds in buffers, half of the growth for each',
    "connection. To reach: at most 10 KB resident, and three times the tutorial's connections a second.",
    `${roundsText(bench)}.`,
  ].join(' ');

function toRow({ name }: ServerKind, { perSecond, joined, before, resident, slab, tcp }: Figures): Cell[] {
  const each = (bytes: number): number => bytes / KIBI / joined;
  return [
    name,
    Math.round(perSecond),
    joined,
    before / KIBI ** 2,
    resident / KIBI ** 2,
    each(resident - before),
    each(slab / 2),
    each(tcp / 2),
  ];
}

async function measure(
  { folder }: BenchContext,
  kind: ServerKind,
  { accepted, joined, settleMs }: { accepted: number; joined: number; settleMs: number },
): Promise<Figures> {
  const perSecond = await withServerOf(kind, folder, ({ url }) =>
    withLoadGenerator((generator) => generator.connect({ url, dialect: kind.dialect }, accepted)),
  );
  return withServerOf(kind, folder, ({ url, pid }) =>
    withLoadGenerator(async (generator) => {
      const [before, kernelBefore] = [residentBytes(pid), kernelMemory()];
      const groups = [{ name: 'room', rooms: Math.floor(joined / PER_ROOM), members: PER_ROOM }];
      const gathered = await generator.join({ target: { url, dialect: kind.dialect }, groups, textBytes: 100, patienceMs: PATIENCE_MS });
      await sleep(settleMs);
      return {
        perSecond,
        joined: gathered.joined,
        before,
        resident: residentBytes(pid),
        ...growth(kernelBefore, kernelMemory()),
      };
    }),
  );
}

const growth = (before: KernelMemory, after: KernelMemory): KernelMemory => ({
  slab: after.slab - before.slab,
  tcp: after.tcp - before.tcp,
});
