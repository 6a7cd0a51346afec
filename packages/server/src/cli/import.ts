/** The command `engawa import`: imports the database of the Socket.IO tutorial into a store. */
import { parseArgs } from 'node:util';
import { loadSettings, SettingsError } from '../config/settings.ts';
import { pluralize, withRemainder } from '../format.ts';
import { importTutorial } from '../import-tutorial/import.ts';
import { type ImportReport, type Remark, remarkTexts } from '../import-tutorial/report.ts';
import type { TutorialDatabase } from '../import-tutorial/tutorial-database.ts';
import { type OpenedStore, openStore, type StoreOptions, storeOptionsFrom } from '../open-store.ts';
import { reportOperatorErrors } from './operator-errors.ts';
import { ProgressLine } from './progress-line.ts';

interface ImportArguments {
  from: string;
  to: string;
  options: StoreOptions;
  isDryRun: boolean;
}

const USAGE = 'Usage: engawa import tutorial --from REDIS_URL [--to URL] [--dry-run], where the latter URL is a folder, or redis:….';

/** `engawa import tutorial`. Resolves with the exit code. */
export async function importData(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return reportOperatorErrors(async () => {
    const parsed = parseArguments(args, env);
    // Imported lazily: the Redis client takes 10 MiB of memory, which a server on the embedded store does not need.
    const tutorial = await import('../import-tutorial/tutorial-database.ts');
    const database = await tutorial.TutorialDatabase.connect(parsed.from);
    try {
      const target = await openStore(parsed.to, { ...parsed.options, ifMissing: parsed.isDryRun ? 'empty' : 'create' });
      try {
        return await run(database, target, parsed.isDryRun);
      } finally {
        await target.store.close();
      }
    } finally {
      database.close();
    }
  });
}

function parseArguments([source, ...args]: string[], env: NodeJS.ProcessEnv): ImportArguments {
  if (source !== 'tutorial') throw new SettingsError(`Only the tutorial's database can be imported.\n${USAGE}`);
  let values: { from?: string; to?: string; 'dry-run'?: boolean };
  try {
    ({ values } = parseArgs({ args, options: { from: { type: 'string' }, to: { type: 'string' }, 'dry-run': { type: 'boolean' } } }));
  } catch (error) {
    throw new SettingsError(`${(error as Error).message}\n${USAGE}`);
  }
  const { settings } = loadSettings([], env);
  const { from, to = settings.redisUrl || settings.dataDir, 'dry-run': isDryRun = false } = values;
  if (!from) throw new SettingsError(`--from is needed.\n${USAGE}`);
  return { from, to, options: storeOptionsFrom(settings), isDryRun };
}

async function run(database: TutorialDatabase, target: OpenedStore, isDryRun: boolean): Promise<number> {
  for (const warning of target.warnings) console.warn(`WARNING: ${warning}`);
  console.log(`from  ${database.name}\nto    ${target.name}`);
  const progress = new ProgressLine();
  const onProgress = ({ rooms, chats }: ImportReport): void =>
    progress.show(`importing: ${pluralize(rooms.imported + rooms.before, 'room')}, ${pluralize(chats.imported, 'chat')}`);
  const report = await importTutorial({ database, store: target.store, isDryRun, onProgress });
  progress.clear();
  if (report.rooms.found === 0) return printAndReturn(`There are no rooms of the tutorial's server in ${database.name}.`, 1);
  return printAndReturn(
    [...reportTable(report), ...remarkLines(report), '', isDryRun ? 'Nothing was written: this was a dry run.' : nextSteps(target)].join(
      '\n',
    ),
    0,
  );
}

function printAndReturn(text: string, exitCode: number): number {
  console.log(text);
  return exitCode;
}

function reportTable({ rooms, chats, members }: ImportReport): string[] {
  const row = (cells: string[]): string => cells.map((cell, column) => (column === 0 ? cell.padEnd(8) : cell.padStart(12))).join('');
  const countRow = (noun: string, { found, imported, before }: ImportReport['rooms']): string =>
    row([noun, ...[found, imported, before, found - imported - before].map((count) => count.toLocaleString('en'))]);
  return [
    row(['', 'found', 'imported', 'before', 'left out']),
    countRow('rooms', rooms),
    countRow('chats', chats),
    `${row(['members', members.toLocaleString('en')])}  whose names are free: users take them again by joining`,
  ];
}

function remarkLines({ remarks: recorded }: ImportReport): string[] {
  return (Object.keys(remarkTexts) as Remark[]).flatMap((remark) => {
    const { count, examples } = recorded.get(remark) ?? { count: 0, examples: [] };
    return count === 0 ? [] : [`${remarkTexts[remark]} (${count.toLocaleString('en')})`, ...withRemainder(examples.toSorted(), count)];
  });
}

const nextSteps = ({ flags }: OpenedStore): string =>
  `The tutorial's database was not changed; run the import again to add what it received since.
next  start your server with ${flags}; clients of the tutorial connect to it unchanged.`;
