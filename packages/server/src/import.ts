import { parseArgs } from 'node:util';
import { explaining } from './explaining.ts';
import { ProgressLine } from './progress.ts';
import { loadSettings, SettingsError } from './settings.ts';
import { type OpenedStore, openStore, optionsIn, type StoreOptions } from './stores.ts';
import type { TutorialDatabase } from './tutorial/database.ts';
import { importTutorial } from './tutorial/import.ts';
import { type Remark, type Report, remarks } from './tutorial/report.ts';
import { several, withRest } from './words.ts';

interface Asked {
  from: string;
  to: string;
  options: StoreOptions;
  isDry: boolean;
}

const USAGE = 'Usage: engawa import tutorial --from REDIS_URL [--to URL] [--dry-run], where the latter URL is a folder, or redis:….';

/** `engawa import tutorial`: what the tutorial's server wrote, into a store. Resolves with the exit code. */
export async function importData(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return explaining(async () => {
    const asked = readAsked(args, env);
    // The client for Redis takes 10 MiB, which a server on a folder does without.
    const tutorial = await import('./tutorial/database.ts');
    const database = await tutorial.TutorialDatabase.connect(asked.from);
    try {
      const target = await openStore(asked.to, { ...asked.options, ifMissing: asked.isDry ? 'pretend' : 'create' });
      try {
        return await run(database, target, asked.isDry);
      } finally {
        await target.store.close();
      }
    } finally {
      database.close();
    }
  });
}

function readAsked([what, ...args]: string[], env: NodeJS.ProcessEnv): Asked {
  if (what !== 'tutorial') throw new SettingsError(`Only the tutorial's database can be imported.\n${USAGE}`);
  let values: { from?: string; to?: string; 'dry-run'?: boolean };
  try {
    ({ values } = parseArgs({ args, options: { from: { type: 'string' }, to: { type: 'string' }, 'dry-run': { type: 'boolean' } } }));
  } catch (error) {
    throw new SettingsError(`${(error as Error).message}\n${USAGE}`);
  }
  const { settings } = loadSettings([], env);
  const { from, to = settings.redisUrl || settings.dataDir, 'dry-run': isDry = false } = values;
  if (!from) throw new SettingsError(`--from is needed.\n${USAGE}`);
  return { from, to, options: optionsIn(settings), isDry };
}

async function run(database: TutorialDatabase, target: OpenedStore, isDry: boolean): Promise<number> {
  for (const warning of target.warnings) console.warn(`WARNING: ${warning}`);
  console.log(`from  ${database.name}\nto    ${target.name}`);
  const line = new ProgressLine();
  const onProgress = ({ rooms, chats }: Report): void =>
    line.show(`importing: ${several(rooms.imported + rooms.before, 'room')}, ${several(chats.imported, 'chat')}`);
  const report = await importTutorial({ database, store: target.store, isDry, onProgress });
  line.clear();
  if (report.rooms.found === 0) return say(`There are no rooms of the tutorial's server in ${database.name}.`, 1);
  return say([...table(report), ...remarksOf(report), '', isDry ? 'Nothing was written: this was a dry run.' : next(target)].join('\n'), 0);
}

function say(text: string, exitCode: number): number {
  console.log(text);
  return exitCode;
}

function table({ rooms, chats, members }: Report): string[] {
  const row = (cells: string[]): string => cells.map((cell, column) => (column === 0 ? cell.padEnd(8) : cell.padStart(12))).join('');
  const counted = (noun: string, { found, imported, before }: Report['rooms']): string =>
    row([noun, ...[found, imported, before, found - imported - before].map((count) => count.toLocaleString('en'))]);
  return [
    row(['', 'found', 'imported', 'before', 'left out']),
    counted('rooms', rooms),
    counted('chats', chats),
    `${row(['members', members.toLocaleString('en')])}  whose names are free: people take them again by joining`,
  ];
}

function remarksOf({ remarks: noted }: Report): string[] {
  return (Object.keys(remarks) as Remark[]).flatMap((remark) => {
    const { count, examples } = noted.get(remark) ?? { count: 0, examples: [] };
    return count === 0 ? [] : [`${remarks[remark]} (${count.toLocaleString('en')})`, ...withRest(examples.toSorted(), count)];
  });
}

const next = ({ flags }: OpenedStore): string =>
  `The tutorial's database was not changed; asked for again, what it got meanwhile is added.
next  start your server with ${flags}; clients of the tutorial connect to it as they are.`;
