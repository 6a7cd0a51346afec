/** A real Redis primary with replicas, under sentinels that replace it when it fails. */

import { until } from '../wait-for.ts';
import { RedisFixture, type RedisOptions, withFreePorts } from './redis-config.ts';
import { RedisServer } from './redis-server.ts';

const NAME = 'mymaster';
const READY_TIMEOUT_MS = 50_000;

export interface SentinelOptions extends RedisOptions {
  sentinels?: number;
  replicas?: number;
  /** Milliseconds of silence after which a sentinel takes a server to be down. */
  downAfter?: number;
}

/** Resolves when all sentinels know each other, the primary and the replicas, and all replicas follow. */
export async function startSentinel({
  sentinels = 3,
  replicas = 2,
  downAfter = 1000,
  ...options
}: SentinelOptions = {}): Promise<RedisSentinel> {
  const fixture = await RedisFixture.create(options);
  const startServer = (settings: Record<string, string> = {}) =>
    withFreePorts(1, ([port = 0]) => fixture.start(new RedisServer(fixture.serverSetup(port, settings))));
  return fixture.cleanUpOnError(async () => {
    const primary = await startServer();
    const startReplica = () => startServer({ replicaof: `127.0.0.1 ${primary.port}` });
    const config = sentinelConfig({ port: primary.port, password: fixture.password, quorum: Math.floor(sentinels / 2) + 1, downAfter });
    const startOne = ([port = 0]: number[]) => fixture.start(new Sentinel(fixture.sentinelSetup(port, config)));
    const replicaServers = await Promise.all(Array.from({ length: replicas }, startReplica));
    const sentinelServers = await Promise.all(Array.from({ length: sentinels }, () => withFreePorts(1, startOne)));
    const group = new RedisSentinel(fixture, [primary, ...replicaServers], sentinelServers);
    await group.waitUntilOk();
    return group;
  });
}

const sentinelConfig = (of: { port: number; password: string; quorum: number; downAfter: number }): string[] => [
  `sentinel monitor ${NAME} 127.0.0.1 ${of.port} ${of.quorum}`,
  `sentinel down-after-milliseconds ${NAME} ${of.downAfter}`,
  `sentinel failover-timeout ${NAME} 5000`,
  ...(of.password ? [`sentinel auth-pass ${NAME} ${of.password}`] : []),
];

/** Checks and announces ten times as often as by default: otherwise sentinels take 20 s to find each other and the old primary as a replica. */
class Sentinel extends RedisServer {
  override async start(): Promise<void> {
    await super.start();
    await this.runCommand('SENTINEL', 'DEBUG', 'info-period', 1000, 'publish-period', 200, 'ask-period', 200, 'tilt-period', 3000);
  }
}

export class RedisSentinel {
  /** `redis+sentinel://host:port,host:port,host:port/mymaster` of the sentinels. */
  readonly url: string;
  /** The primary and its replicas: at first the first one is the primary. */
  readonly servers: RedisServer[];
  readonly sentinels: RedisServer[];
  readonly #fixture: RedisFixture;

  constructor(fixture: RedisFixture, servers: RedisServer[], sentinels: RedisServer[]) {
    this.#fixture = fixture;
    this.servers = servers;
    this.sentinels = sentinels;
    this.url = `${fixture.urlOf(sentinels, 'redis+sentinel')}/${NAME}`;
  }

  /** As the sentinel says that has the newest news. */
  async primary(): Promise<RedisServer> {
    const views = await Promise.all(this.#running(this.sentinels).map(readView));
    const newest = views.sort((a, b) => b.epoch - a.epoch)[0];
    const server = this.servers.find(({ port }) => port === newest?.port);
    if (!server) throw new Error('No sentinel runs that knows the primary.');
    return server;
  }

  /** As an operator asks for it; resolves when another server is the primary. What follows may need `waitUntilOk`. */
  async failover(): Promise<void> {
    const before = await this.primary();
    await this.#running(this.sentinels)[0]?.runCommand('SENTINEL', 'FAILOVER', NAME);
    await until(async () => (await this.primary()) !== before, 'another server is the primary', READY_TIMEOUT_MS);
  }

  /** All running sentinels agree on a primary, which runs; all other running servers follow it, and could replace it. */
  async waitUntilOk(): Promise<void> {
    await until(() => this.#isOk().catch(() => false), 'the sentinels have a primary with replicas', READY_TIMEOUT_MS);
  }

  /** Ends servers and sentinels, and deletes their folders. */
  close(): Promise<void> {
    return this.#fixture.close();
  }

  #running(servers: RedisServer[]): RedisServer[] {
    return servers.filter(({ isRunning }) => isRunning);
  }

  async #isOk(): Promise<boolean> {
    const [primary, running, sentinels] = [await this.primary(), this.#running(this.servers), this.#running(this.sentinels)];
    const following = running.filter((server) => server !== primary);
    const views = await Promise.all(sentinels.map(readView));
    const isSettled = ({ port, flags, ...view }: SentinelView, index: number) =>
      port === primary.port &&
      flags === 'master' &&
      following.every((replica) => view.replicas.includes(replica.port)) &&
      sentinels.every((other, otherIndex) => otherIndex === index || view.sentinels.includes(other.port));
    if (!running.includes(primary) || !views.every(isSettled)) return false;
    const replications = await Promise.all(running.map((server) => server.runCommand('INFO', 'replication')));
    return replications.every((replication, at) =>
      running[at] === primary
        ? replication.includes('role:master')
        : replication.includes(`master_port:${primary.port}`) && replication.includes('master_link_status:up'),
    );
  }
}

/** What a sentinel knows. */
interface SentinelView {
  port: number;
  epoch: number;
  flags: string;
  /** Whom it can reach, by their ports. */
  sentinels: number[];
  /** Of replicas that follow and that it could choose. */
  replicas: number[];
}

async function readView(sentinel: RedisServer): Promise<SentinelView> {
  const listOf = async (what: string) => ((await sentinel.runRaw('SENTINEL', what, NAME)) as string[][]).map(fieldsOf);
  const [primary, replicas, sentinels] = [
    fieldsOf((await sentinel.runRaw('SENTINEL', 'MASTER', NAME)) as string[]),
    await listOf('REPLICAS'),
    await listOf('SENTINELS'),
  ];
  return {
    port: Number(primary.port),
    epoch: Number(primary['config-epoch']),
    flags: primary.flags!,
    sentinels: sentinels.filter(({ flags }) => flags === 'sentinel').map(({ port }) => Number(port)),
    replicas: replicas.filter((one) => one.flags === 'slave' && one['master-link-status'] === 'ok').map(({ port }) => Number(port)),
  };
}

const fieldsOf = (list: string[]): Record<string, string | undefined> =>
  Object.fromEntries(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1]]] : [])));
