import { parseArgs } from 'node:util';
import { explaining } from './explaining.ts';
import { ProgressLine } from './progress.ts';
import { loadSettings, SettingsError } from './settings.ts';
import { type Compared, compareRooms, type Moved, moveRooms, type Survey, survey, type Ways } from './store/move.ts';
import { isSameStore, type OpenedStore, openStore, optionsIn } from './stores.ts';
import { quoted, several, withRest } from './words.ts';

interface Asked {
  from: string;
  to: string;
  isDry: boolean;
}

/** `engawa move`: all rooms of one store into another one. Resolves with the exit code, 0 when both are equal in the end. */
export async function move(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return explaining(async () => {
    const asked = readAsked(args);
    const options = optionsIn(loadSettings([], env).settings);
    const source = await openStore(asked.from, { ...options, ifMissing: 'refuse' });
    try {
      const target = await openStore(asked.to, { ...options, ifMissing: asked.isDry ? 'pretend' : 'create' });
      try {
        return await run(source, target, asked.isDry);
      } finally {
        await target.store.close();
      }
    } finally {
      await source.store.close();
    }
  });
}

function readAsked(args: string[]): Asked {
  const usage = 'Usage: engawa move --from URL --to URL [--dry-run], where a URL is a folder, or redis:….';
  let values: { from?: string; to?: string; 'dry-run'?: boolean };
  try {
    ({ values } = parseArgs({ args, options: { from: { type: 'string' }, to: { type: 'string' }, 'dry-run': { type: 'boolean' } } }));
  } catch (error) {
    throw new SettingsError(`${(error as Error).message}\n${usage}`);
  }
  const { from, to, 'dry-run': isDry = false } = values;
  if (!from || !to) throw new SettingsError(`Both --from and --to are needed.\n${usage}`);
  if (isSameStore(from, to)) throw new SettingsError('Both URLs name the same store.');
  return { from, to, isDry };
}

async function run(source: OpenedStore, target: OpenedStore, isDry: boolean): Promise<number> {
  const ways: Ways = { source: source.store, target: target.store };
  for (const warning of warningsOf(source, target)) console.warn(`WARNING: ${warning}`);
  const found = await survey(ways);
  console.log(plan(found, source, target));
  if (found.rooms === 0 || found.obstacles.count > 0) return 1;
  if (isDry) return say('Nothing was written: this was a dry run.', 0);
  const line = new ProgressLine();
  const moved = await moveRooms(ways, (now) => line.show(moving(now, found)));
  const compared = await compareRooms(ways, (now) => line.show(comparing(now, found)));
  line.clear();
  return compared.differing.count > 0 ? say(differing(compared), 1) : say(done({ moved, compared }, source, target), 0);
}

function say(text: string, exitCode: number): number {
  console.log(text);
  return exitCode;
}

/** A server that writes meanwhile is kept out of a store that is ours; elsewhere nobody knows of it. */
const warningsOf = (...stores: OpenedStore[]): string[] =>
  stores.flatMap(({ name, isOurs, warnings }) => [
    ...(isOurs ? [] : [`Stop every server that uses ${name}; what they write meanwhile makes the comparison fail.`]),
    ...warnings,
  ]);

function plan({ rooms, entries, there, others, obstacles }: Survey, source: OpenedStore, target: OpenedStore): string {
  if (rooms === 0) return `There are no rooms in ${source.name}.`;
  const lines = [
    `from  ${source.name}: ${several(rooms, 'room')}, ${several(entries, 'entry', 'entries')}`,
    `to    ${target.name}: ${there === 0 ? 'none of them there yet' : `${several(there, 'room')} of these names there, to be compared`}`,
  ];
  if (others.count > 0) {
    const named = others.few.map((room) => `  ${quoted(room)}`);
    lines.push(`stay  ${several(others.count, 'room')} there that the source has not:`, ...withRest(named, others.count));
  }
  if (obstacles.count === 0) return lines.join('\n');
  const named = obstacles.few.map(({ room, why }) => `  ${quoted(room)} ${reasons[why]}`);
  return [
    ...lines,
    `Nothing was written. What cannot be moved: ${several(obstacles.count, 'room')}`,
    ...withRest(named, obstacles.count),
    'Choose an empty store, or delete these rooms there.',
  ].join('\n');
}

const reasons = {
  'another life': 'is there already, as another room of that name (another epoch)',
  'went on': 'is there already, and has entries that the source has not',
};

const moving = ({ moved, passed, entries }: Moved, { rooms }: Survey): string =>
  `moving: ${moved + passed} of ${several(rooms, 'room')}, ${several(entries, 'entry', 'entries')}`;

const comparing = ({ equal, entries, differing: { count } }: Compared, { rooms }: Survey): string =>
  `comparing: ${equal + count} of ${several(rooms, 'room')}, ${several(entries, 'entry', 'entries')}`;

function differing({ equal, differing: { count, few } }: Compared): string {
  return [
    `${several(count, 'room')} not the same in both, ${equal} the same:`,
    ...withRest(
      few.map(({ room, what }) => `  ${quoted(room)} in: ${what.join(', ')}`),
      count,
    ),
    'Somebody wrote to them meanwhile: stop the servers, then ask for the same again.',
  ].join('\n');
}

function done({ moved, compared }: { moved: Moved; compared: Compared }, source: OpenedStore, target: OpenedStore): string {
  const before = moved.passed === 0 ? '' : `; ${several(moved.passed, 'room')} there already`;
  return `Moved ${several(moved.moved, 'room')} with ${several(moved.entries, 'entry', 'entries')}${before}. Compared, and equal: ${several(compared.equal, 'room')}.
next  start your servers with ${target.flags}; keep ${source.name}, which was not changed, until you are content.`;
}
