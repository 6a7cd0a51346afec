import { commands } from './commands.ts';
import { emojiBeginning } from './emoji.ts';

/** Where completion looks. */
export interface Known {
  rooms: readonly string[];
  /** Names that begin like this, the likeliest first. */
  names: (start: string) => string[];
}

/** What may stand in place of the end of a text. */
export interface Completion {
  /** Where what is replaced begins, in UTF-16 code units; it goes to the end of the text. */
  start: number;
  options: { shown: string; text: string }[];
}

const MOST = 50;

/** What the text before the cursor may go on as; nothing when nothing fits. */
export function completionOf(before: string, known: Known): Completion | undefined {
  const start = before.search(/\S+$/);
  const word = start === -1 ? '' : before.slice(start);
  const options = optionsOf(before, word, known).slice(0, MOST);
  return options.length > 0 ? { start: start === -1 ? before.length : start, options } : undefined;
}

function optionsOf(before: string, word: string, known: Known): Completion['options'] {
  if (/^\/\S*$/.test(before)) return beginning(commandNames, word.slice(1)).map((name) => ({ shown: `/${name}`, text: `/${name} ` }));
  const completes = argumentOf(before);
  if (completes === 'room') return roomsOf(word.replace(/^#/, ''), known, '');
  if (completes === 'name') return known.names(word.replace(/^@/, '')).map((name) => ({ shown: name, text: name }));
  if (completes === 'emoji') return emojiOptions(word.replace(/^:/, ''));
  if (word.startsWith('@')) return known.names(word.slice(1)).map((name) => ({ shown: name, text: `@${name} ` }));
  if (word.startsWith('#')) return roomsOf(word.slice(1), known, '#');
  if (/^:[\w+-]/.test(word)) return emojiOptions(word.slice(1));
  // A name at the beginning is somebody who is spoken to.
  return word !== '' && before === word ? known.names(word).map((name) => ({ shown: name, text: `${name}: ` })) : [];
}

const commandNames = commands.map(({ name }) => name as string);

/** What a command takes, when the cursor is in its argument. */
const argumentOf = (before: string) => commands.find(({ name }) => before.startsWith(`/${name} `))?.completes;

const roomsOf = (start: string, { rooms }: Known, mark: string) =>
  beginning(rooms, start).map((id) => ({ shown: `#${id}`, text: `${mark}${id}${mark === '' ? '' : ' '}` }));

const emojiOptions = (start: string) => emojiBeginning(start).map(({ name, emoji }) => ({ shown: `${emoji} ${name}`, text: emoji }));

const beginning = (all: readonly string[], start: string): string[] =>
  all.filter((each) => each.toLowerCase().startsWith(start.toLowerCase()));
