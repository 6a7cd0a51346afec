/** What Redis servers stand on: a folder, ports, certificates, and the configuration that they share. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RedisServer, RedisSetup } from './redis-server.ts';

export interface RedisOptions {
  /** Lines of redis.conf besides, or instead of, what tests have by default: `{ appendfsync: 'always', maxmemory: '3mb' }`. */
  config?: Record<string, string | number>;
  /** Users besides the default one: `user app on >secret ~engawa:* &engawa:* +@all -@dangerous`. */
  users?: string[];
  /** TLS and nothing else, with a certificate for 127.0.0.1 of an authority made for it. */
  tls?: boolean;
}

const DEFAULTS = {
  bind: '127.0.0.1',
  daemonize: 'no',
  appendonly: 'yes',
  appendfsync: 'everysec',
  save: '',
  // A replica that has to copy everything is served at once.
  'repl-diskless-sync-delay': 0,
  'enable-debug-command': 'local',
};

/** Below those that the system gives to outgoing connections: a client that tries again and again would meet itself there. */
const PORTS = { from: 10_000, count: 22_000 };
const ATTEMPTS = 5;

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** One server stands here, or all those of a group. */
export class RedisFixture {
  readonly folder = mkdtempSync(join(tmpdir(), 'engawa-redis-'));
  readonly #options: RedisOptions;
  readonly #servers: RedisServer[] = [];

  private constructor(options: RedisOptions) {
    this.#options = options;
    folders.push(this.folder);
  }

  static async create(options: RedisOptions): Promise<RedisFixture> {
    const fixture = new RedisFixture(options);
    if (options.tls === true) await makeCertificates(fixture.folder);
    return fixture;
  }

  async start<Server extends RedisServer>(server: Server): Promise<Server> {
    this.#servers.push(server);
    await server.start();
    return server;
  }

  /** Leaves nothing when not all of it could be started. */
  async cleanUpOnError<Started>(start: () => Promise<Started>): Promise<Started> {
    try {
      return await start();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  get password(): string {
    return String(this.#options.config?.requirepass ?? '');
  }

  /** What a server needs that keeps data. */
  serverSetup(port: number, more: Record<string, string | number> = {}): RedisSetup {
    const { config, users = [] } = this.#options;
    const login = this.password ? { masterauth: this.password } : {};
    const settings = Object.entries({ ...DEFAULTS, ...login, ...more, ...config });
    return this.#createSetup(port, [...settings.map(([name, value]) => `${name} ${value === '' ? '""' : value}`), ...users]);
  }

  sentinelSetup(port: number, lines: string[]): RedisSetup {
    return { ...this.#createSetup(port, [`bind ${DEFAULTS.bind}`, ...lines]), password: '', args: ['--sentinel'] };
  }

  /** `scheme` is `redis+cluster`, or how else several servers have one URL. */
  urlOf(servers: RedisServer[], scheme: string): string {
    const login = this.password && `:${encodeURIComponent(this.password)}@`;
    return `${this.#options.tls === true ? scheme.replace('redis', 'rediss') : scheme}://${login}${servers.map(({ address }) => address).join()}`;
  }

  #createSetup(port: number, lines: string[]): RedisSetup {
    const dir = join(this.folder, String(port));
    const file = (name: string) => join(this.folder, name);
    const setup = { dir, port, password: this.password };
    if (this.#options.tls !== true) return { ...setup, ca: undefined, lines: [`port ${port}`, ...lines] };
    const files = [`tls-ca-cert-file ${file('ca.crt')}`, `tls-cert-file ${file('server.crt')}`, `tls-key-file ${file('server.key')}`];
    const tls = [`tls-port ${port}`, ...files, 'tls-auth-clients no', 'tls-replication yes', 'tls-cluster yes'];
    return { ...setup, ca: file('ca.crt'), lines: ['port 0', ...tls, ...lines] };
  }
}

/** Starts servers on this number of free ports; tries others when another process took one. */
export async function withFreePorts<Started>(count: number, start: (ports: number[]) => Promise<Started>): Promise<Started> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      if (attempt === ATTEMPTS || !String(error).includes('Address already in use')) throw error;
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function makeCertificates(folder: string): Promise<void> {
  const make = (name: string, ...more: string[]) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
    const args = ['req', '-x509', ...key, '-out', `${name}.crt`, '-subj', `/CN=engawa test ${name}`, '-days', '2', ...more];
    return promisify(execFile)('openssl', args, { cwd: folder });
  };
  await make('ca');
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE'];
  await make('server', '-CA', 'ca.crt', '-CAkey', 'ca.key', ...names);
}
