/** The command `engawa move`: copies all rooms of one store into another and compares them. */
import { parseArgs } from 'node:util';
import { loadSettings, SettingsError } from '../config/settings.ts';
import { pluralize, quoteForTerminal, withRemainder } from '../format.ts';
import { isSameStore, type OpenedStore, openStore, storeOptionsFrom } from '../open-store.ts';
import {
  type Comparison,
  compareRooms,
  type MigrationPlan,
  type MigrationProgress,
  migrateRooms,
  planMigration,
  type StorePair,
} from '../store/migrate.ts';
import { reportOperatorErrors } from './operator-errors.ts';
import { ProgressLine } from './progress-line.ts';

interface MoveArguments {
  from: string;
  to: string;
  isDryRun: boolean;
}

/** `engawa move`. Resolves with the exit code: 0 if both stores are equal in the end. */
export async function move(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return reportOperatorErrors(async () => {
    const parsed = parseArguments(args);
    const options = storeOptionsFrom(loadSettings([], env).settings);
    const source = await openStore(parsed.from, { ...options, ifMissing: 'refuse' });
    try {
      const target = await openStore(parsed.to, { ...options, ifMissing: parsed.isDryRun ? 'empty' : 'create' });
      try {
        return await run(source, target, parsed.isDryRun);
      } finally {
        await target.store.close();
      }
    } finally {
      await source.store.close();
    }
  });
}

function parseArguments(args: string[]): MoveArguments {
  const usage = 'Usage: engawa move --from URL --to URL [--dry-run], where a URL is a folder, or redis:….';
  let values: { from?: string; to?: string; 'dry-run'?: boolean };
  try {
    ({ values } = parseArgs({ args, options: { from: { type: 'string' }, to: { type: 'string' }, 'dry-run': { type: 'boolean' } } }));
  } catch (error) {
    throw new SettingsError(`${(error as Error).message}\n${usage}`);
  }
  const { from, to, 'dry-run': isDryRun = false } = values;
  if (!from || !to) throw new SettingsError(`Both --from and --to are needed.\n${usage}`);
  if (isSameStore(from, to)) throw new SettingsError('Both URLs name the same store.');
  return { from, to, isDryRun };
}

async function run(source: OpenedStore, target: OpenedStore, isDryRun: boolean): Promise<number> {
  const stores: StorePair = { source: source.store, target: target.store };
  for (const warning of warningsOf(source, target)) console.warn(`WARNING: ${warning}`);
  const found = await planMigration(stores);
  console.log(planText(found, source, target));
  if (found.rooms === 0 || found.conflicts.count > 0) return 1;
  if (isDryRun) return printAndReturn('Nothing was written: this was a dry run.', 0);
  const progress = new ProgressLine();
  const moved = await migrateRooms(stores, (now) => progress.show(movingText(now, found)));
  const compared = await compareRooms(stores, (now) => progress.show(comparingText(now, found)));
  progress.clear();
  return compared.differences.count > 0
    ? printAndReturn(differingText(compared), 1)
    : printAndReturn(doneText({ moved, compared }, source, target), 0);
}

function printAndReturn(text: string, exitCode: number): number {
  console.log(text);
  return exitCode;
}

/** An embedded store is locked against servers that write meanwhile; other stores are not. */
const warningsOf = (...stores: OpenedStore[]): string[] =>
  stores.flatMap(({ name, isExclusive, warnings }) => [
    ...(isExclusive ? [] : [`Stop every server that uses ${name}; writes during the move make the comparison fail.`]),
    ...warnings,
  ]);

function planText(
  { rooms, entries, alreadyInTarget, onlyInTarget, conflicts }: MigrationPlan,
  source: OpenedStore,
  target: OpenedStore,
): string {
  if (rooms === 0) return `There are no rooms in ${source.name}.`;
  const lines = [
    `from  ${source.name}: ${pluralize(rooms, 'room')}, ${pluralize(entries, 'entry', 'entries')}`,
    `to    ${target.name}: ${alreadyInTarget === 0 ? 'none of them exists there yet' : `${pluralize(alreadyInTarget, 'room')} with these names there, to be compared`}`,
  ];
  if (onlyInTarget.count > 0) {
    const sampleLines = onlyInTarget.samples.map((room) => `  ${quoteForTerminal(room)}`);
    lines.push(
      `stay  ${pluralize(onlyInTarget.count, 'room')} there that the source does not have:`,
      ...withRemainder(sampleLines, onlyInTarget.count),
    );
  }
  if (conflicts.count === 0) return lines.join('\n');
  const sampleLines = conflicts.samples.map(({ room, reason }) => `  ${quoteForTerminal(room)} ${reasons[reason]}`);
  return [
    ...lines,
    `Nothing was written. Cannot be moved: ${pluralize(conflicts.count, 'room')}`,
    ...withRemainder(sampleLines, conflicts.count),
    'Choose an empty store, or delete these rooms there.',
  ].join('\n');
}

const reasons = {
  'different epoch': 'exists already, as another room of that name (another epoch)',
  diverged: 'exists already, and has entries that the source does not have',
};

const movingText = ({ moved, skipped, entries }: MigrationProgress, { rooms }: MigrationPlan): string =>
  `moving: ${moved + skipped} of ${pluralize(rooms, 'room')}, ${pluralize(entries, 'entry', 'entries')}`;

const comparingText = ({ equal, entries, differences: { count } }: Comparison, { rooms }: MigrationPlan): string =>
  `comparing: ${equal + count} of ${pluralize(rooms, 'room')}, ${pluralize(entries, 'entry', 'entries')}`;

function differingText({ equal, differences: { count, samples } }: Comparison): string {
  return [
    `${pluralize(count, 'room')} different in the two stores, ${equal} equal:`,
    ...withRemainder(
      samples.map(({ room, sections }) => `  ${quoteForTerminal(room)} in: ${sections.join(', ')}`),
      count,
    ),
    'These rooms changed during the move: stop all servers, then run the same command again.',
  ].join('\n');
}

function doneText(
  { moved, compared }: { moved: MigrationProgress; compared: Comparison },
  source: OpenedStore,
  target: OpenedStore,
): string {
  const before = moved.skipped === 0 ? '' : `; ${pluralize(moved.skipped, 'room')} existed already`;
  return `Moved ${pluralize(moved.moved, 'room')} with ${pluralize(moved.entries, 'entry', 'entries')}${before}. Compared and equal: ${pluralize(compared.equal, 'room')}.
next  start your servers with ${target.flags}; keep ${source.name}, which was not changed, until you have checked the result.`;
}
