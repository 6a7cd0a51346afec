/** Real reverse proxies before a server, each with the configuration that its manual gives for WebSockets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createTempFolder, until } from '../processes/server.ts';

export type ProxyName = 'nginx' | 'haproxy' | 'apache2' | 'caddy';

export interface ProxyRoute {
  /** The port of the server behind the proxy. */
  server: number;
  /** The path of the server, such as `/chat`. */
  prefix?: string;
  /** Whether the proxy removes the prefix. */
  strips?: boolean;
  /** False: nginx passes on requests and no upgrades, as by default: upgrades reach the server as plain requests. */
  upgrades?: boolean;
}

interface ProxyConfig extends Required<ProxyRoute> {
  port: number;
  folder: string;
}

interface ProxyKind {
  args: (file: string) => string[];
  config: (site: ProxyConfig) => string;
}

const NGINX_UPGRADE_HEADERS =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;';

const APACHE_MODULES = ['mpm_event', 'authz_core', 'proxy', 'proxy_http', 'proxy_wstunnel'];

const proxyKinds: Record<ProxyName, ProxyKind> = {
  nginx: {
    args: (file) => ['-c', file],
    config: ({ port, server, prefix, strips, upgrades, folder }) => `
      daemon off;
      worker_processes 1;
      pid ${folder}/pid;
      error_log ${folder}/errors;
      events {}
      http {
        access_log off;
        client_body_temp_path ${folder}/body;
        proxy_temp_path ${folder}/proxy;
        fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi;
        scgi_temp_path ${folder}/scgi;
        map $http_upgrade $connection_upgrade { default upgrade; '' close; }
        server {
          listen 127.0.0.1:${port};
          location ${prefix}/ {
            proxy_pass http://127.0.0.1:${server}${strips ? '/' : ''};
            proxy_set_header Host $host;
            ${upgrades ? NGINX_UPGRADE_HEADERS : ''}
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          }
        }
      }`,
  },
  haproxy: {
    args: (file) => ['-db', '-f', file],
    config: ({ port, server, prefix, strips }) => `
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend web
  bind 127.0.0.1:${port}
  http-request deny deny_status 404 unless { path_beg ${prefix}/ }
  ${strips ? `http-request replace-path ${prefix}(/.*) \\1` : ''}
  default_backend chat
backend chat
  server chat 127.0.0.1:${server}
`,
  },
  apache2: {
    args: (file) => ['-D', 'FOREGROUND', '-f', file],
    config: ({ port, server, prefix, strips, folder }) => `
      ServerRoot ${folder}
      ServerName localhost
      DefaultRuntimeDir ${folder}
      Listen 127.0.0.1:${port}
      PidFile ${folder}/pid
      ErrorLog ${folder}/errors
      StartServers 1
      ${APACHE_MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
      ProxyPass ${prefix}/ http://127.0.0.1:${server}${strips ? '' : prefix}/ upgrade=websocket`,
  },
  caddy: {
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
    config: ({ port, server, prefix, strips }) => `
      {
        admin off
        auto_https off
      }
      http://:${port} {
        bind 127.0.0.1
        ${strips ? 'handle_path' : 'handle'} ${prefix}/* {
          reverse_proxy 127.0.0.1:${server}
        }
      }`,
  },
};

/** On Linux the kernel ends a proxy whose parent has ended, even if it was killed. */
const DIE_WITH_PARENT = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM'] : [];

/** The URL of the proxy, with the prefix. Ends with the test. */
export async function startReverseProxy(
  name: ProxyName,
  { server, prefix = '', strips = false, upgrades = true }: ProxyRoute,
): Promise<string> {
  const { args, config } = proxyKinds[name];
  const route = { server, prefix, strips, upgrades };
  const folder = createTempFolder();
  const port = await freePort();
  const file = join(folder, 'config');
  writeFileSync(file, config({ ...route, port, folder }));
  const [program, ...prefixArgs] = [...DIE_WITH_PARENT, name];
  const child = spawn(program, [...prefixArgs, ...args(file)], {
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => terminate(child));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended:\n${output}`);
    return acceptsConnections(port);
  }, `${name} takes connections`);
  return `http://127.0.0.1:${port}${route.prefix}`;
}

async function terminate(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await ended;
  clearTimeout(late);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const acceptsConnections = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket
      .once('connect', () => resolve(true))
      .once('error', () => resolve(false))
      .once('connect', () => socket.destroy());
  });
