import { median } from '../report/statistics.ts';

/** What a server holds when only those are there who always are, after garbage collection. Bytes, and counts. */
export interface Sample {
  /** Milliseconds since the soak began. */
  at: number;
  /** Visits until then. */
  visits: number;
  heap: number;
  /** Buffers outside of the heap. */
  external: number;
  resident: number;
  /** What keeps the event loop busy, by its name: timers, sockets and other handles. */
  resources: Record<string, number>;
  /** Objects of classes of which each connection has some. */
  live: Record<string, number>;
  /** Of the socket that has most. */
  listeners: number;
}

/** A third of the samples, at the beginning, is for caches and compiled code to find their size. */
const PARTS = 3;
/** What two thirds of the same may differ by: a share, and so much whatever the share. */
const BYTES = {
  heap: { share: 0.05, bytes: 1.5 * 2 ** 20 },
  external: { share: 0.1, bytes: 2 * 2 ** 20 },
  resident: { share: 0.1, bytes: 24 * 2 ** 20 },
} as const;
/** Of anything that is counted, at the best moment of a third: what is under way in other moments is no growth. */
const COUNT = 3;

/** What has grown from the second third of the samples to the last, each as a sentence. */
export function detectLeaks(samples: Sample[]): string[] {
  const third = Math.floor(samples.length / PARTS);
  if (third < 2) throw new Error(`${samples.length} samples say nothing.`);
  const [before, after] = [samples.slice(-2 * third, -third), samples.slice(-third)];
  const bytes = (['heap', 'external', 'resident'] as const).flatMap((name) => {
    const [was, is] = [median(before.map((sample) => sample[name])), median(after.map((sample) => sample[name]))];
    return is > was * (1 + BYTES[name].share) + BYTES[name].bytes ? [`${name} grew from ${mebi(was)} to ${mebi(is)} MiB`] : [];
  });
  const counts = namesIn(samples).flatMap((name) => {
    const [was, is] = [leastOf(before, name), leastOf(after, name)];
    return is > was + COUNT ? [`${name}: ${was} became ${is}`] : [];
  });
  return [...bytes, ...counts];
}

const mebi = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
const countsOf = ({ resources, live, listeners }: Sample): Record<string, number> => ({
  ...resources,
  ...live,
  'listeners of a socket': listeners,
});
const namesIn = (samples: Sample[]): string[] => [...new Set(samples.flatMap((sample) => Object.keys(countsOf(sample))))];
const leastOf = (samples: Sample[], name: string): number => Math.min(...samples.map((sample) => countsOf(sample)[name] ?? 0));
