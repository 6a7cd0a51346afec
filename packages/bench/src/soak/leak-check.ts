// Decides from samples whether a server leaks memory, handles or objects.
import { median } from '../report/statistics.ts';

/** A server after garbage collection, without visitors. Bytes, and counts. */
export interface Sample {
  /** Milliseconds since the start. */
  at: number;
  /** Visits so far. */
  visits: number;
  heap: number;
  /** Buffers outside the heap. */
  external: number;
  resident: number;
  /** Timers, sockets and other handles, by name. */
  resources: Record<string, number>;
  /** Objects of classes that each connection has. */
  live: Record<string, number>;
  /** Most listeners of one socket. */
  listeners: number;
}

/** The first third of the samples is warm-up: caches and compiled code grow. */
const PARTS = 3;
/** Allowed growth from the second third to the last: a share, and so many bytes. */
const BYTES = {
  heap: { share: 0.05, bytes: 1.5 * 2 ** 20 },
  external: { share: 0.1, bytes: 2 * 2 ** 20 },
  resident: { share: 0.1, bytes: 24 * 2 ** 20 },
} as const;
/** Allowed growth of counts, by the lowest of each third. */
const COUNT = 3;

/** What has grown from the second third of the samples to the last, each as a text. */
export function detectLeaks(samples: Sample[]): string[] {
  const third = Math.floor(samples.length / PARTS);
  if (third < 2) throw new Error(`${samples.length} samples are too few.`);
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
