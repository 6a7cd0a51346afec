// Sums a CPU profile of V8 by the part of the program that was running.
interface Frame {
  functionName: string;
  /** Empty for native functions. */
  url: string;
}

/** The used part of a CPU profile of V8. */
export interface CpuProfile {
  /** A node is a function with its callers. */
  nodes: { id: number; callFrame: Frame; children?: number[] }[];
  /** The node that was running at each sample, and microseconds since the previous sample. */
  samples: number[];
  timeDeltas: number[];
}

/** In the order of reports; the first match counts. */
const PLACES: [place: string, url: RegExp, name?: RegExp][] = [
  ['writing to sockets', /^$/, /^(writev|writeBuffer|write\w+String)$/],
  ['handing over to the writer', /^(node:internal\/worker)?$/, /^postMessage$/],
  ['garbage collector', /^$/, /^\(garbage collector\)$/],
  ['V8 and Node, native', /^$/, /^\(/],
  ["Node's JavaScript", /^node:/],
  ['coalescing adapter', /\/packages\/coalescing-adapter\//],
  ['protocol', /\/packages\/protocol\//],
  ['domain', /\/packages\/server\/dist\/domain\//],
  ['store', /\/packages\/server\/dist\/store\//],
  ['server, other than domain and store', /\/packages\/server\/dist\//],
  ['Socket.IO', /\/node_modules\/socket\.io[^/]*\//],
  ['Engine.IO', /\/node_modules\/engine\.io[^/]*\//],
  ['ws', /\/node_modules\/ws\//],
  ['zod', /\/node_modules\/zod\//],
  ['other', /./],
];
const IDLE = '(idle)';

/** Shares of the time in which the program was not idle. A native function without a match counts as its caller. */
export function cpuShares({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const times = new Map(PLACES.map(([place]) => [place, 0]));
  let busy = 0;
  for (const [index, node] of samples.entries()) {
    if (frames.get(node)?.functionName === IDLE) continue;
    let at: number | undefined = node;
    let place: string | undefined;
    for (; at !== undefined && place === undefined; at = callers.get(at)) place = placeOf(frames.get(at));
    // A sample counts for the time until the next one.
    const time = timeDeltas[index + 1] ?? 0;
    times.set(place ?? 'other', (times.get(place ?? 'other') ?? 0) + time);
    busy += time;
  }
  return new Map([...times].map(([place, time]) => [place, time / busy]));
}

const placeOf = ({ url, functionName }: Frame = { url: '', functionName: '' }): string | undefined =>
  PLACES.find(([, urls, names = /^/]) => urls.test(url) && names.test(functionName))?.[0];
