// How many connections a second a server accepts, and how much memory one takes that does nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { withLoadGenerator } from '../generator/generator.ts';
import { maxConnections } from '../harness/fd-limit.ts';
import { ENGAWA, isAvailable, type ServerKind, SOCKET_IO, TUTORIAL, withServerOf } from '../harness/server-kinds.ts';
import { type KernelMemory, kernelMemory } from '../profiling/kernel-memory.ts';
import { residentBytes } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { type BenchContext, measureInTurn, roundsText, type Scenario } from '../scenario.ts';

const PER_ROOM = 10;
const FULL = { accepted: 5_000, joined: 15_000, settleMs: 5_000 };
const QUICK = { accepted: 1_000, joined: 2_000, settleMs: 500 };
const DEADLINE_MS = 60_000;
const KIBI = 1024;

type Figures = Record<'perSecond' | 'joined' | 'before' | 'resident' | 'slab' | 'tcp', number>;

export const connections: Scenario = {
  name: 'connections',
  async run(bench) {
    const size = bench.quick ? QUICK : FULL;
    const kinds = [ENGAWA, TUTORIAL, SOCKET_IO].filter(isAvailable);
    const figures = await measureInTurn(kinds, bench.rounds, (kind) => measure(bench, kind, size));
    return [
      {
        title: 'Connections',
        note: noteOf(size.accepted, bench),
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
        rows: kinds.map((kind, index) => toRow(kind, figures[index] as Figures)),
      },
    ];
  },
};

const noteOf = (accepted: number, bench: BenchContext): string =>
  [
    `Accepted: how many connections a second are accepted, Socket.IO's CONNECT included, of ${accepted.toLocaleString('en-US')}, a hundred at a time. Then, on a new server,`,
    `members join rooms of ${PER_ROOM} and do nothing: VmRSS of the server before the first joined and a while after the last one, and the difference for each; no garbage collection is forced.`,
    'Kernel memory is that of the whole machine, which has both ends of each connection: its own objects (slab) and the buffers of TCP, half of the growth for each connection.',
    `${roundsText(bench)}.`,
  ].join(' ');

function toRow({ name }: ServerKind, { perSecond, joined, before, resident, slab, tcp }: Figures): Cell[] {
  const each = (bytes: number): number => bytes / KIBI / joined;
  const mebi = (bytes: number): number => bytes / KIBI ** 2;
  return [name, Math.round(perSecond), joined, mebi(before), mebi(resident), each(resident - before), each(slab / 2), each(tcp / 2)];
}

async function measure({ folder, progress }: BenchContext, kind: ServerKind, size: typeof FULL): Promise<Figures> {
  progress(`${kind.name}: connections`);
  const perSecond = await withServerOf(kind, folder, ({ url }) =>
    withLoadGenerator((generator) => generator.connect({ url, dialect: kind.dialect }, size.accepted)),
  );
  return withServerOf(kind, folder, ({ url, pid }) =>
    withLoadGenerator(async (generator) => {
      const [before, kernelBefore] = [residentBytes(pid), kernelMemory()];
      const groups = [{ name: 'room', rooms: Math.floor(maxConnections(size.joined) / PER_ROOM), members: PER_ROOM }];
      const target = { url, dialect: kind.dialect };
      const { joined } = await generator.join({ target, groups, textBytes: 100, deadlineMs: DEADLINE_MS });
      await sleep(size.settleMs);
      return { perSecond, joined, before, resident: residentBytes(pid), ...growth(kernelBefore, kernelMemory()) };
    }),
  );
}

const growth = (before: KernelMemory, after: KernelMemory): KernelMemory => ({
  slab: after.slab - before.slab,
  tcp: after.tcp - before.tcp,
});
