/** The commands `engawa serve` and `engawa settings`. */
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { describeSettings, type LoadedSettings, loadSettings, type Settings } from '../config/settings.ts';
import { type OpenedStore, openStore, storeOptionsFrom } from '../open-store.ts';
import { createServer } from '../server.ts';
import { StoreError } from '../store/contract.ts';
import { reportOperatorErrors } from './operator-errors.ts';
import { createStartupServer } from './startup-server.ts';

/** Milliseconds between two attempts to connect to an unavailable Redis. */
const RETRY_MS = { min: 500, max: 8_000 };
/** Hosts that mean all addresses of this machine. */
const WILDCARD_HOSTS = new Set(['', '0.0.0.0', '::']);

/** `engawa serve`: runs until SIGINT or SIGTERM. Resolves with the exit code. */
export async function serve(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return reportOperatorErrors(async () => run(loadSettings(args, env).settings));
}

/** `engawa settings`: prints the settings in force and the source of each. */
export async function printSettings(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return reportOperatorErrors(async () => {
    const loaded: LoadedSettings = loadSettings(args, env);
    console.log(describeSettings(loaded));
    return 0;
  });
}

async function run(settings: Settings): Promise<number> {
  const log = pino({ level: settings.logLevel, base: null }, pino.destination(2));
  const stopped = waitForStopSignal();
  const opened = await openStoreWithRetry(settings, { log, stopped });
  if (!opened) return 0;
  const { store, name, isExclusive, warnings } = opened;
  // Redis has its own memory limit, and other programs may use the same Redis.
  const quotaTotalBytes = settings.quotaTotalBytes ?? (isExclusive ? undefined : 0);
  const server = createServer({ store, settings: { ...settings, quotaTotalBytes }, log });
  try {
    const port = await server.listen();
    console.log(welcomeText(settings, port, name));
    for (const warning of [...warningsOf(settings), ...warnings]) console.warn(`WARNING: ${warning}`);
    log.info({ signal: await stopped }, 'stopping');
  } finally {
    await server.close();
    await store.close();
  }
  return 0;
}

interface StartupContext {
  log: Logger;
  stopped: Promise<unknown>;
}

/**
 * Retries while Redis is unavailable. Meanwhile a startup server answers health checks: alive, but not ready. Resolves with
 * undefined if the process is stopped first.
 */
async function openStoreWithRetry(settings: Settings, { log, stopped }: StartupContext): Promise<OpenedStore | undefined> {
  const open = async (): Promise<OpenedStore> => {
    const onError = (error: unknown) => log.debug({ err: error }, 'Redis');
    return openStore(settings.redisUrl || settings.dataDir, { ...storeOptionsFrom(settings), onError });
  };
  const isUnavailable = (error: unknown): boolean => error instanceof StoreError && error.reason === 'busy';
  const startupServer = createStartupServer(settings, log);
  const stop = new AbortController();
  void stopped.then(() => stop.abort());
  try {
    for (let delayMs = RETRY_MS.min; !stop.signal.aborted; delayMs = Math.min(2 * delayMs, RETRY_MS.max)) {
      try {
        return await open();
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        console.error(`engawa: ${(error as Error).message} Trying again in ${delayMs / 1000} s.`);
        await startupServer.open();
        await sleep(delayMs, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    }
    return undefined;
  } finally {
    await startupServer.close();
  }
}

const waitForStopSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });

function welcomeText({ host, path }: Settings, port: number, store: string): string {
  const url = `http://${hostForUrl(host)}:${port}${path}`;
  return `Engawa is listening on ${url}
  data    ${store}
  try     npx engawa chat lobby --as you${port === 3000 && path === '' ? '' : ` --server ${url}`}
          for a second user on this machine, use another profile: npx engawa help profile
  stop    Ctrl-C`;
}

/** Formats a host for a URL. */
function hostForUrl(host: string): string {
  if (WILDCARD_HOSTS.has(host)) return 'localhost';
  return isIPv6(host) ? `[${host}]` : host;
}

const warningsOf = ({ rateLimits }: Settings): string[] =>
  rateLimits === 'off' ? ['ENGAWA_RATE_LIMITS=off: any client can flood this server. For load tests only.'] : [];
