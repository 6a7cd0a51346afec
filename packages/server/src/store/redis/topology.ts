/** Finds out which Redis server has which partition. */
import { slotOf, tags } from './partitions.ts';
import { type ConnectOptions, createConnection, type Reply } from './redis-connection.ts';
import { hostAndPort } from './redis-url.ts';

/** A server that takes longer to report the topology is skipped. */
const DISCOVERY_TIMEOUT_MS = 2_000;

/** Which server has which partition. */
export class Topology {
  readonly #addressByPartition: (string | undefined)[];
  readonly isCluster: boolean;
  /** The topology cannot change, so it is not requested again. */
  readonly isStatic: boolean;
  readonly addresses: ReadonlySet<string>;

  constructor(addressByPartition: (string | undefined)[], { isCluster, isStatic }: { isCluster: boolean; isStatic: boolean }) {
    this.#addressByPartition = addressByPartition;
    this.isCluster = isCluster;
    this.isStatic = isStatic;
    this.addresses = new Set(addressByPartition.filter((address) => address !== undefined));
  }

  addressOf(partition: number): string | undefined {
    return this.#addressByPartition[partition];
  }

  equals(other: Topology): boolean {
    return this.#addressByPartition.every((address, partition) => other.addressOf(partition) === address);
  }
}

/**
 * Asks the servers for the topology; rejects if none replies. If something may be wrong, a majority is asked, and the newest
 * epoch counts: a server behind a network partition reports an old topology.
 */
export async function discoverTopology(
  options: ConnectOptions,
  { current, isRoutine = false }: { current?: Topology; isRoutine?: boolean } = {},
): Promise<Topology> {
  const { kind, seeds } = options.target;
  if (current?.isStatic) return current;
  const discover = kind === 'sentinel' ? discoverFromSentinel : current ? discoverFromCluster : discoverFromServer;
  const addresses = kind === 'sentinel' ? seeds : [...new Set([...(current?.addresses ?? []), ...seeds])];
  const discoveries = await majorityOf((isRoutine ? addresses.slice(0, 1) : addresses).map((address) => discover(options, address)));
  return discoveries.reduce((newest, discovery) => (discovery.epoch > newest.epoch ? discovery : newest)).topology;
}

interface Discovery {
  topology: Topology;
  epoch: number;
}

/** Resolves with the replies of a majority, or of all that reply if there are fewer. */
async function majorityOf<Result>(requests: Promise<Result>[]): Promise<Result[]> {
  const answers: Result[] = [];
  let pendingCount = requests.length;
  let failure = new Error('No Redis server is configured.');
  return new Promise((resolve, reject) => {
    const settle = () => {
      pendingCount -= 1;
      if (2 * answers.length > requests.length || (pendingCount === 0 && answers.length > 0)) resolve(answers);
      else if (pendingCount === 0) reject(failure);
    };
    for (const request of requests) {
      request
        .then((answer) => answers.push(answer))
        .catch((error: Error) => (failure = error))
        .finally(settle);
    }
  });
}

async function discoverFromServer(options: ConnectOptions, address: string): Promise<Discovery> {
  const info = await withTemporaryConnection(options, address, (send) => send(['INFO', 'cluster']));
  if (/^cluster_enabled:1/m.test(String(info))) return discoverFromCluster(options, address);
  const addresses = tags.map(() => address);
  return { topology: new Topology(addresses, { isCluster: false, isStatic: true }), epoch: 0 };
}

async function discoverFromCluster(options: ConnectOptions, address: string): Promise<Discovery> {
  return withTemporaryConnection(options, address, async (send) => {
    const [slots, info] = await Promise.all([send(['CLUSTER', 'SLOTS']), send(['CLUSTER', 'INFO'])]);
    const epoch = Number(/^cluster_current_epoch:(\d+)/m.exec(String(info))?.[1]);
    return { topology: new Topology(addressesIn(slots as SlotRange[], address), { isCluster: true, isStatic: false }), epoch };
  });
}

async function discoverFromSentinel(options: ConnectOptions, sentinel: string): Promise<Discovery> {
  const primary = String(options.target.primary);
  // Sentinels have passwords of their own, if any; those of the URL belong to the servers.
  const { username: _, password: __, database: ___, ...target } = options.target;
  return withTemporaryConnection({ ...options, target }, sentinel, async (send) => {
    const fields = (await send(['SENTINEL', 'MASTER', primary])) as string[];
    const field = (name: string): string => String(fields[fields.indexOf(name) + 1]);
    const address = `${field('ip')}:${field('port')}`;
    return {
      topology: new Topology(
        tags.map(() => address),
        { isCluster: false, isStatic: false },
      ),
      epoch: Number(field('config-epoch')),
    };
  });
}

type SlotRange = [from: number, to: number, primary: [host: string | null, port: number, ...Reply[]], ...Reply[]];

function addressesIn(ranges: SlotRange[], askedAddress: string): (string | undefined)[] {
  const ofSlot = (slot: number) => ranges.find(([from, to]) => from <= slot && slot <= to)?.[2];
  return tags.map((tag) => {
    const primary = ofSlot(slotOf(tag));
    return primary && `${primary[0] || hostAndPort(askedAddress).host}:${primary[1]}`;
  });
}

async function withTemporaryConnection<Result>(
  options: ConnectOptions,
  address: string,
  run: (send: (command: string[]) => Promise<Reply>) => Promise<Result>,
): Promise<Result> {
  const client = createConnection({ ...options, isSingleUse: true }, address);
  let cause: Error | undefined;
  client.once('error', (error: Error) => (cause ??= error));
  const timer = setTimeout(() => {
    cause ??= new Error('It does not reply.');
    client.destroy();
  }, DISCOVERY_TIMEOUT_MS);
  try {
    await client.connect();
    return await run((command) => client.sendCommand<Reply>(command));
  } catch (error) {
    // The cause says more than the fact that the connection ended.
    throw cause ?? error;
  } finally {
    clearTimeout(timer);
    if (client.isOpen) client.destroy();
  }
}
