/** The deploy files for other platforms, as far as they can be checked here: everything that they name must exist. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openStore } from '@engawa/server';
import { startServer } from '@engawa/testkit/processes/server';
import { startRedis } from '@engawa/testkit/redis/redis-servers';
import { parse as parseToml } from 'smol-toml';
import { expect, onTestFinished, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { loadSettings } from '#config/settings.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const dockerfile = read('Dockerfile');
const caddyfile = read('deploy/Caddyfile');
const render = parseYaml(read('render.yaml')) as Render;
const renderRedis = parseYaml(read('deploy/render-redis.yaml')) as Render;
const fly = parseToml(read('fly.toml')) as unknown as Fly;
const cloudRun = parseYaml(read('deploy/cloud-run.yaml')) as CloudRun;
const compose = parseYaml(read('deploy/compose.yaml')) as Compose;

interface Render {
  services: {
    type: 'web' | 'keyvalue';
    name: string;
    healthCheckPath?: string;
    maxShutdownDelaySeconds?: number;
    maxmemoryPolicy?: string;
    numInstances?: number;
    disk?: { mountPath: string };
    envVars?: { key: string; value?: string; fromService?: { type: string; name: string; property: string } }[];
  }[];
}

interface Fly {
  kill_signal: string;
  kill_timeout: string;
  env: Record<string, string>;
  mounts: { destination: string };
  http_service: { internal_port: number; checks: { path: string }[] };
}

interface CloudRun {
  spec: { template: { spec: { timeoutSeconds: number; containerConcurrency: number; containers: [Container] } } };
}

interface Container {
  env: { name: string; value?: string }[];
  startupProbe: Probe;
  livenessProbe: Probe;
}

interface Probe {
  httpGet: { path: string };
  periodSeconds: number;
  failureThreshold: number;
}

interface Compose {
  services: Record<
    'engawa-1' | 'engawa-2' | 'proxy' | 'redis',
    { environment: Record<string, string>; stop_grace_period: string; tmpfs: string[]; command: string[] }
  >;
}

const [webWithDisk, webWithRedis, keyValue] = [...render.services, ...renderRedis.services] as [Web, Web, Web];
type Web = Render['services'][number];
const container = cloudRun.spec.template.spec.containers[0];

/** The environment of services, by file. Values of the platform are replaced by examples. */
const environments: Record<string, Record<string, string>> = {
  'render.yaml': envOfRender(webWithDisk),
  'deploy/render-redis.yaml': envOfRender(webWithRedis),
  'fly.toml': fly.env,
  'deploy/cloud-run.yaml': Object.fromEntries(container.env.map(({ name, value = 'redis://elsewhere' }) => [name, value])),
  'deploy/compose.yaml': compose.services['engawa-1'].environment,
};

function envOfRender({ envVars = [] }: Web): Record<string, string> {
  return Object.fromEntries(envVars.map(({ key, value = 'redis://elsewhere' }) => [key, value]));
}

test.each(Object.entries(environments))('%s sets existing settings to valid values', (_, { RUN_AS, ...env }) => {
  const { sources } = loadSettings([], env);
  const set = Object.values(sources).filter((source) => source === 'variable');
  expect(set).toHaveLength(Object.keys(env).length);
  expect(env.ENGAWA_TRUSTED_PROXIES, 'all of them have proxies in front').toMatch(/^[1-9]$/);
  if (RUN_AS !== undefined) expect(dockerfile).toContain('ARG RUN_AS=1000\nUSER $RUN_AS\n');
});

test('deploy files mount disks at the data directory of the image, and use its port', () => {
  const folder = /ENGAWA_DATA_DIR=(\S+)/.exec(dockerfile)?.[1];
  expect([webWithDisk.disk?.mountPath, fly.mounts.destination, compose.services['engawa-1'].tmpfs[0]]).toEqual([folder, folder, folder]);
  expect(dockerfile).toContain(`VOLUME ${folder}\n`);
  const { port } = loadSettings([], {}).settings;
  expect(fly.http_service.internal_port).toBe(port);
  expect(dockerfile).toContain(`EXPOSE ${port}\n`);
  expect(caddyfile).toContain(`reverse_proxy engawa-1:${port} engawa-2:${port} {`);
});

test('liveness checks use the health route, and readiness checks the ready route', async () => {
  const enders = [webWithDisk.healthCheckPath, webWithRedis.healthCheckPath, container.livenessProbe.httpGet.path];
  const senders = [...fly.http_service.checks.map(({ path }) => path), container.startupProbe.httpGet.path];
  expect(new Set(enders)).toEqual(new Set(['/health']));
  expect(new Set(senders)).toEqual(new Set(['/ready']));
  expect(/^HEALTHCHECK .*$/m.exec(dockerfile)?.[0]).toContain('/health`');
  expect(caddyfile).toContain('health_uri /ready\n');
  const { url } = await startServer();
  for (const path of ['/health', '/ready']) expect((await fetch(url + path)).status).toBe(200);
});

test('deploy files set a stop timeout that covers the shutdown, where the platform allows it', () => {
  const compose30 = [compose.services['engawa-1'], compose.services['engawa-2']].map((service) => service.stop_grace_period);
  expect([fly.kill_signal, fly.kill_timeout, ...compose30]).toEqual(['SIGTERM', '30s', '30s', '30s']);
  expect([webWithDisk.maxShutdownDelaySeconds, webWithRedis.maxShutdownDelaySeconds]).toEqual([30, 30]);
  expect(dockerfile).toContain('STOPSIGNAL SIGTERM\n');
});

test('only deploy files with a shared Redis start several instances', async () => {
  expect([webWithDisk.numInstances, webWithRedis.numInstances]).toEqual([undefined, 2]);
  const { fromService } = webWithRedis.envVars?.find(({ key }) => key === 'REDIS_URL') ?? {};
  expect(fromService).toEqual({ type: keyValue.type, name: keyValue.name, property: 'connectionString' });
  expect(environments['deploy/cloud-run.yaml']).toHaveProperty('REDIS_URL');
  expect(environments['deploy/compose.yaml']).toEqual(compose.services['engawa-2'].environment);
  expect(compose.services['engawa-1'].environment.REDIS_URL).toBe('redis://redis:6379');
});

test('their Redis persists its data', async () => {
  expect(keyValue.maxmemoryPolicy).toBe('noeviction');
  const [program, ...flags] = compose.services.redis.command;
  expect(program).toBe('redis-server');
  const pairs = flags.flatMap((flag, index) => (index % 2 === 0 ? [[flag.replace('--', ''), flags[index + 1] ?? '']] : []));
  const redis = await startRedis({ config: Object.fromEntries(pairs) as Record<string, string> });
  onTestFinished(() => redis.close());
  const { store, name, warnings } = await openStore(redis.url);
  await store.close();
  expect([name, warnings]).toEqual([expect.stringContaining('append-only file, fsync everysec, noeviction'), []]);
});

test('they request at most what Cloud Run offers', () => {
  const { timeoutSeconds, containerConcurrency } = cloudRun.spec.template.spec;
  const { periodSeconds, failureThreshold } = container.startupProbe;
  expect([timeoutSeconds, containerConcurrency, periodSeconds * failureThreshold]).toEqual([3600, 1000, 240]);
  expect(periodSeconds, 'a cold start is as long, whatever the server takes').toBe(1);
});

test('the image contains the manifest of every package, and the files that run', () => {
  const running = new Set<string>();
  const addWithDependencies = (name: string): void => {
    running.add(name);
    const { dependencies = {} } = JSON.parse(read(`packages/${name}/package.json`)) as { dependencies?: Record<string, string> };
    for (const each of Object.keys(dependencies)) if (each.startsWith('@engawa/')) addWithDependencies(each.replace('@engawa/', ''));
  };
  addWithDependencies('engawa');
  expect(running.size).toBeGreaterThan(1);
  for (const name of readdirSync(join(ROOT, 'packages'))) {
    expect(dockerfile).toContain(`COPY packages/${name}/package.json packages/${name}/\n`);
    expect(dockerfile.includes(`COPY --from=build /engawa/packages/${name} packages/${name}\n`)).toBe(running.has(name));
  }
});
