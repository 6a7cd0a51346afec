import { UNSPACED } from '@engawa/protocol/mentions';
import { BELLS } from './alerts.ts';
import { type Command, commands } from './commands.ts';
import { emojiBeginning } from './emoji.ts';

/** Where completion looks. */
export interface Known {
  rooms: readonly string[];
  /** Names that begin like this, the likeliest first. */
  names: (start: string) => string[];
}

interface Option {
  shown: string;
  text: string;
  /** The command that it is a name of. */
  command?: Command;
}

/** What may stand in place of the end of a text. */
export interface Completion {
  /** Where what is replaced begins, in UTF-16 code units; it goes to the end of the text. */
  start: number;
  options: Option[];
  /** It shows itself while one types: a plain word may be no name. */
  isOffered: boolean;
}

const MOST = 50;
/** A mark that begins a name, also as input methods leave it: not inside a word, as in an address, but right after a script without spaces. */
const MARKED = new RegExp(`(?<!(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}_])([@＠#＃:：])([^\\s@＠#＃:：]*)$`, 'u');

/** What the text before the cursor may go on as; nothing when nothing fits. */
export function completionOf(before: string, known: Known): Completion | undefined {
  const [word = ''] = /\S*$/.exec(before) ?? [];
  const marked = MARKED.exec(before);
  const argument = optionsOfCommand(before, word, known);
  const options = (
    argument ?? (marked ? optionsAfter(marked[1] ?? '', marked[2] ?? '', known) : namesAtBeginning(before, word, known))
  ).slice(0, MOST);
  const start = argument === undefined && marked ? marked.index : before.length - word.length;
  const isOffered = argument !== undefined || (marked !== null && !isSmiley(marked));
  return options.length > 0 ? { start, options, isOffered } : undefined;
}

/** One letter after a colon is hardly an emoji yet. */
const isSmiley = ([, mark = '', start = '']: RegExpExecArray): boolean => ':：'.includes(mark) && start.length < 2;

/** Nothing where no command is typed that takes something. */
function optionsOfCommand(before: string, word: string, known: Known): Completion['options'] | undefined {
  if (/^\/\S*$/.test(before)) return commandsBeginning(word.slice(1));
  const completes = argumentOf(before);
  if (completes === 'room') return roomsOf(word.replace(/^[#＃]/, ''), known, '');
  if (completes === 'name') return known.names(word.replace(/^[@＠]/, '')).map((name) => ({ shown: name, text: name }));
  if (completes === 'bell') return beginning(BELLS, word).map((bell) => ({ shown: bell, text: bell }));
  return completes === 'emoji' ? emojiOptions(word.replace(/^[:：]/, '')) : undefined;
}

function optionsAfter(mark: string, start: string, known: Known): Completion['options'] {
  if ('@＠'.includes(mark)) return known.names(start).map((name) => ({ shown: name, text: `@${name} ` }));
  if ('#＃'.includes(mark)) return roomsOf(start, known, '#');
  return /^[\w+-]/.test(start) ? emojiOptions(start) : [];
}

/** A name at the beginning is somebody who is spoken to. */
const namesAtBeginning = (before: string, word: string, known: Known): Completion['options'] =>
  word !== '' && before === word ? known.names(word).map((name) => ({ shown: name, text: `${name}: ` })) : [];

const optionOf = (name: string, command: Command): Option => ({ shown: `/${name}`, text: `/${name} `, command });
const byName = commands.map((command) => optionOf(command.name, command));
const byAlias = commands.flatMap((command) => (command.aliases ?? []).map((alias) => optionOf(alias, command)));

/** By what it is known as elsewhere only where no name begins so. */
function commandsBeginning(start: string): Option[] {
  const found = (all: Option[]) => all.filter(({ shown }) => shown.toLowerCase().startsWith(`/${start.toLowerCase()}`));
  const names = found(byName);
  return names.length > 0 ? names : found(byAlias);
}

/** What a command takes, when the cursor is in its argument. */
function argumentOf(before: string): Command['completes'] {
  const [, name = ''] = /^\/(\S+) /.exec(before) ?? [];
  return commands.find((each) => each.name === name || each.aliases?.includes(name))?.completes;
}

const roomsOf = (start: string, { rooms }: Known, mark: string) =>
  beginning(rooms, start).map((id) => ({ shown: `#${id}`, text: `${mark}${id}${mark === '' ? '' : ' '}` }));

const emojiOptions = (start: string) => emojiBeginning(start).map(({ name, emoji }) => ({ shown: `${emoji} ${name}`, text: emoji }));

const beginning = (all: readonly string[], start: string): string[] =>
  all.filter((each) => each.toLowerCase().startsWith(start.toLowerCase()));
