import { resolve } from 'node:path';
import { pino } from 'pino';
import { createServer } from './server.ts';
import { describeSettings, type LoadedSettings, loadSettings, type Settings, SettingsError } from './settings.ts';
import { openEmbedded } from './store/embedded/embedded.ts';
import { networkFileSystemOf } from './store/embedded/folder.ts';
import { StoreError } from './store/store.ts';

/** `engawa serve`: runs until it is told to stop. Resolves with the exit code. */
export async function serve(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return explaining(async () => run(loadSettings(args, env).settings));
}

/** `engawa settings`: what is in force and where it came from. */
export async function printSettings(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return explaining(async () => {
    const loaded: LoadedSettings = loadSettings(args, env);
    console.log(describeSettings(loaded));
    return 0;
  });
}

async function run(settings: Settings): Promise<number> {
  const log = pino({ level: settings.logLevel, base: null }, pino.destination(2));
  const folder = resolve(settings.dataDir);
  const store = await openEmbedded({ folder });
  const server = createServer({ store, settings, log });
  const stopped = untilToldToStop();
  try {
    const port = await server.listen();
    console.log(welcome(settings, port, folder));
    for (const warning of [...warnings(settings, folder), ...restored(store.wasRestored)]) console.warn(`WARNING: ${warning}`);
    log.info({ signal: await stopped }, 'stopping');
  } finally {
    await server.close();
    await store.close();
  }
  return 0;
}

const untilToldToStop = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });

function welcome({ host }: Settings, port: number, folder: string): string {
  const url = `http://${host === '0.0.0.0' || host === '::' ? 'localhost' : host}:${port}`;
  return `Engawa is listening on ${url}
  data    ${folder} (embedded store)
  try     npx engawa chat lobby --as you${port === 3000 ? '' : ` --server ${url}`}
          and the same in a second terminal, under another name
  stop    Ctrl-C`;
}

function warnings({ limits }: Settings, folder: string): string[] {
  const network = networkFileSystemOf(folder);
  return [
    ...(limits === 'off' ? ['ENGAWA_LIMITS=off: anybody may flood this server. For load tests only.'] : []),
    ...(network === undefined
      ? []
      : [`${folder} is on ${network}, a network file system: chats may be lost or damaged. Use a local disk.`]),
  ];
}

const restored = (wasRestored: boolean): string[] =>
  wasRestored ? ['The database is older than the one that was here before: clients are told that rooms were set back.'] : [];

async function explaining(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!isForOperators(error)) throw error;
    console.error(`engawa: ${error.message}`);
    return 1;
  }
}

/** Errors that somebody who starts the server can mend; others are bugs and show where they came from. */
function isForOperators(error: unknown): error is Error {
  if (error instanceof SettingsError || error instanceof StoreError) return true;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL';
}
