/** A real Redis Cluster: primaries with replicas, each in a process of its own. */
import type { NetworkPlace } from '../network-namespace.ts';
import { until } from '../wait-for.ts';
import { RedisFixture, type RedisOptions, withFreePorts } from './redis-config.ts';
import { RedisServer } from './redis-server.ts';

const SLOTS = 16_384;
const READY_TIMEOUT_MS = 50_000;
const MIGRATE_MS = 5000;
const MIGRATE_BATCH = 100;
const UNREACHABLE_FLAGS = ['handshake', 'noaddr', 'disconnected', 'fail', 'fail?'];

export interface ClusterOptions extends RedisOptions {
  primaries?: number;
  /** Of each primary. */
  replicas?: number;
  /** Milliseconds of silence after which a node counts as failed. */
  nodeTimeout?: number;
  /** Where the nodes stand that are primaries at first, and the replicas: on this machine, when not given. */
  networkPlaces?: (NetworkPlace | undefined)[];
}

/** Resolves when all slots are served, all nodes agree on it, and all replicas follow. */
export async function startCluster({
  primaries = 3,
  replicas = 1,
  nodeTimeout = 2000,
  networkPlaces = [],
  ...options
}: ClusterOptions = {}): Promise<RedisCluster> {
  const fixture = await RedisFixture.create(options);
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': nodeTimeout,
    // Replicas stay where tests look for them.
    'cluster-allow-replica-migration': 'no',
  };
  const startNode =
    (networkPlace?: NetworkPlace) =>
    async ([port = 0, busPort = 0]: number[]) => {
      const networkSettings = networkPlace && {
        bind: `${networkPlace.host} ${networkPlace.peerAddress}`,
        'cluster-announce-ip': networkPlace.peerAddress,
        'protected-mode': 'no',
      };
      return fixture.start(
        new ClusterNode({ ...fixture.serverSetup(port, { ...settings, ...networkSettings, 'cluster-port': busPort }), networkPlace }),
      );
    };
  return fixture.cleanUpOnError(async () => {
    const starting = Array.from({ length: primaries * (1 + replicas) }, (_, index) => withFreePorts(2, startNode(networkPlaces[index])));
    const nodes = await Promise.all(starting);
    await formCluster(nodes, primaries);
    const cluster = new RedisCluster(fixture, nodes, primaries);
    await cluster.waitUntilOk();
    return cluster;
  });
}

export class ClusterNode extends RedisServer {
  id(): Promise<string> {
    return this.runCommand('CLUSTER', 'MYID');
  }

  /** In its own eyes. */
  async isPrimary(): Promise<boolean> {
    return (await this.runCommand('ROLE')).startsWith('master');
  }

  /** The replica has the data of its primary, and receives new writes. */
  async isLinked(): Promise<boolean> {
    return (await this.runCommand('INFO', 'replication')).includes('master_link_status:up');
  }

  /** The announced port, such as that of a proxy; 0: the real port. */
  async announce(port: number): Promise<void> {
    await this.runCommand('CONFIG', 'SET', this.ca === undefined ? 'cluster-announce-port' : 'cluster-announce-tls-port', port);
  }
}

export class RedisCluster {
  /** `redis+cluster://host:port,host:port,host:port` of those that were primaries at first. */
  readonly url: string;
  /** First those that were primaries at first, then the replicas of each in their order. */
  readonly nodes: ClusterNode[];
  readonly #fixture: RedisFixture;

  constructor(fixture: RedisFixture, nodes: ClusterNode[], primaries: number) {
    this.#fixture = fixture;
    this.nodes = nodes;
    this.url = fixture.urlOf(nodes.slice(0, primaries), 'redis+cluster');
  }

  async slotOf(key: string): Promise<number> {
    return Number(await required(this.#running[0], 'running node').runCommand('CLUSTER', 'KEYSLOT', key));
  }

  /** Of several that say so the one that was elected last. */
  async primaryOf(slot: number): Promise<ClusterNode> {
    const selves = await this.#ownViews();
    const owners = selves.filter(({ self }) => self.slots.some(([first, last]) => first <= slot && slot <= last));
    return required(owners.sort((a, b) => b.self.epoch - a.self.epoch)[0], `primary of slot ${slot}`).node;
  }

  async replicaOf(primary: ClusterNode): Promise<ClusterNode> {
    const [id, selves] = [await primary.id(), await this.#ownViews()];
    const replica = selves.find(({ self }) => self.primary === id);
    return required(replica, `replica of ${primary.address}`).node;
  }

  /** `FORCE`: without the consent of the primary; `TAKEOVER`: without any consent. Resolves when the replica is the primary. */
  async failover(replica: ClusterNode, how?: 'FORCE' | 'TAKEOVER'): Promise<void> {
    await replica.runCommand('CLUSTER', 'FAILOVER', ...(how ? [how] : []));
    await until(() => replica.isPrimary(), 'the replica is a primary', READY_TIMEOUT_MS);
  }

  /**
   * Moves a slot and its keys, while clients use it. `midway` runs when both nodes have a half of the keys, so that
   * clients receive `ASK` and `TRYAGAIN`. Replicas may learn it a moment later (`waitUntilOk`).
   */
  async moveSlot(slot: number, to: ClusterNode, midway: () => Promise<void> = async () => undefined): Promise<void> {
    const from = await this.primaryOf(slot);
    const [fromId, toId] = [await from.id(), await to.id()];
    if (fromId === toId) return;
    await to.runCommand('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await from.runCommand('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    const count = Number(await from.runCommand('CLUSTER', 'COUNTKEYSINSLOT', slot));
    await this.#moveKeys(slot, from, to, Math.ceil(count / 2));
    await midway();
    while (await this.#moveKeys(slot, from, to, MIGRATE_BATCH));
    // The new owner first, so that there is one at any moment.
    for (const node of new Set([to, from, ...this.#running]))
      if (await node.isPrimary()) await node.runCommand('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
  }

  /** Every slot has a primary that is running, all running nodes agree on it, and all running replicas follow. */
  async waitUntilOk(): Promise<void> {
    try {
      await until(() => this.#isOk().catch(() => false), 'the cluster is ok', READY_TIMEOUT_MS);
    } catch (error) {
      const views = await Promise.all(this.#running.map((node) => node.runCommand('CLUSTER', 'NODES').catch(String)));
      throw new Error(`${(error as Error).message}. Its nodes say:\n${views.join('\n')}`, { cause: error });
    }
  }

  /** Ends all nodes and deletes their folders. */
  close(): Promise<void> {
    return this.#fixture.close();
  }

  get #running(): ClusterNode[] {
    return this.nodes.filter(({ isRunning }) => isRunning);
  }

  async #ownViews(): Promise<{ node: ClusterNode; self: NodeView }[]> {
    return Promise.all(
      this.#running.map(async (node) => ({ node, self: required((await readViews(node)).find(isSelf), 'view of itself') })),
    );
  }

  /** Whether there were any. */
  async #moveKeys(slot: number, from: ClusterNode, to: ClusterNode, count: number): Promise<boolean> {
    const keys = (await from.runRaw('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[];
    const login = this.#fixture.password && ['AUTH', this.#fixture.password];
    if (keys.length > 0) await from.runCommand('MIGRATE', '127.0.0.1', to.port, '', 0, MIGRATE_MS, ...login, 'KEYS', ...keys);
    return keys.length > 0;
  }

  async #isOk(): Promise<boolean> {
    const nodes = this.#running;
    const views = await Promise.all(nodes.map(readViews));
    const selves = views.map((view) => required(view.find(isSelf), 'view of itself'));
    const served = selves.flatMap(({ slots }) => slots).reduce((sum, [first, last]) => sum + last - first + 1, 0);
    const doAllAgree = views.every((view) => selves.every((self) => view.some((seen) => isKnown(seen) && seen.gist === self.gist)));
    return served === SLOTS && doAllAgree && (await Promise.all(nodes.map(isServing))).every(Boolean);
  }
}

/** The nodes meet, all with all, since news of others takes them seconds; then each takes its part. */
async function formCluster(nodes: ClusterNode[], primaries: number): Promise<void> {
  const share = Math.ceil(SLOTS / primaries);
  for (const [index, node] of nodes.entries()) {
    await node.runCommand('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index < primaries) await node.runCommand('CLUSTER', 'ADDSLOTSRANGE', index * share, Math.min((index + 1) * share, SLOTS) - 1);
    const busPorts = await Promise.all(nodes.slice(0, index).map((other) => other.runCommand('CONFIG', 'GET', 'cluster-port')));
    for (const [at, busPort] of busPorts.entries()) {
      const { networkPlace, port } = nodes[at]!;
      await node.runCommand('CLUSTER', 'MEET', networkPlace.peerAddress, port, busPort.split('\n')[1]!);
    }
  }
  const haveAllMet = async () => (await Promise.all(nodes.map(readViews))).every((views) => views.filter(isKnown).length === nodes.length);
  await until(haveAllMet, 'all nodes have met', READY_TIMEOUT_MS);
  for (const [index, node] of nodes.entries()) {
    if (index >= primaries) await node.runCommand('CLUSTER', 'REPLICATE', await nodes[index % primaries]!.id());
  }
}

/** What a node knows of another one, or of itself. */
interface NodeView {
  id: string;
  /** With the state of the link to it. */
  flags: string[];
  /** The id of its primary; `-` for a primary. */
  primary: string;
  epoch: number;
  slots: [first: number, last: number][];
  /** All that nodes have to agree on. */
  gist: string;
}

async function readViews(node: ClusterNode): Promise<NodeView[]> {
  const lines = (await node.runCommand('CLUSTER', 'NODES')).trimEnd().split('\n');
  return lines.map((line) => {
    const [id = '', address = '', flags = '', primary = '', , , epoch, link = '', ...rest] = line.split(' ');
    // In brackets are slots that are on their way.
    const slots = rest.filter((slot) => !slot.startsWith('['));
    const gist = [id, address, primary, ...slots].join(' ');
    return { id, flags: [...flags.split(','), link], primary, epoch: Number(epoch), slots: slots.map(rangeOf), gist };
  });
}

function rangeOf(slots: string): [number, number] {
  const [first, last = first] = slots.split('-').map(Number);
  return [first!, last!];
}

const isSelf = ({ flags }: NodeView): boolean => flags.includes('myself');
const isKnown = ({ flags }: NodeView): boolean => !UNREACHABLE_FLAGS.some((flag) => flags.includes(flag));

async function isServing(node: ClusterNode): Promise<boolean> {
  const isOk = (await node.runCommand('CLUSTER', 'INFO')).includes('cluster_state:ok');
  return isOk && ((await node.isPrimary()) || node.isLinked());
}

function required<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`There is no ${what}.`);
  return value;
}
