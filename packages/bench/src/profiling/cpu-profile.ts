interface Frame {
  functionName: string;
  /** Empty of native functions. */
  url: string;
}

/** A CPU profile as V8 makes it, as far as it is read here. */
export interface CpuProfile {
  /** A node is a function as its callers called it. */
  nodes: { id: number; callFrame: Frame; children?: number[] }[];
  /** The node that was at work at each sample, and microseconds since the sample before. */
  samples: number[];
  timeDeltas: number[];
}

/** In the order of reports. The first that a function answers to is its own. */
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

/** Of the time in which anything was at work, the share of each place, by the function that was running; a native one is its caller's, unless it has a place. */
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
    // A sample stands for the time until the next one.
    const time = timeDeltas[index + 1] ?? 0;
    times.set(place ?? 'other', (times.get(place ?? 'other') ?? 0) + time);
    busy += time;
  }
  return new Map([...times].map(([place, time]) => [place, time / busy]));
}

const placeOf = ({ url, functionName }: Frame = { url: '', functionName: '' }): string | undefined =>
  PLACES.find(([, urls, names = /^/]) => urls.test(url) && names.test(functionName))?.[0];
