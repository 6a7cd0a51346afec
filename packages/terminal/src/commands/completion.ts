// Tab completion of commands, names, rooms and emoji.
import { UNSPACED } from '@engawa/protocol/mentions';
import { BELL_MODES } from '../view-model/alerts.ts';
import { emojiStartingWith } from '../view-model/emoji-shortcodes.ts';
import { type Command, commands } from './slash-commands.ts';

/** The rooms and names that completion offers. */
export interface CompletionSources {
  rooms: readonly string[];
  /** Names with this prefix, the most likely first. */
  namesStartingWith: (start: string) => string[];
}

interface CompletionOption {
  label: string;
  insertText: string;
  /** The command, if the option completes the name of one. */
  command?: Command;
}

/** Options that may replace the end of a text. */
export interface Completion {
  /** Start of the replaced part, in UTF-16 code units. It reaches to the end of the text. */
  start: number;
  options: CompletionOption[];
  /** Whether the list opens while the user types. False for a plain word, which may not be a name. */
  isAutomatic: boolean;
}

const MAX_OPTIONS = 50;
/**
 * A trigger character, also in its full-width form from an input method. It counts after a script without spaces, but not inside
 * a word, such as in an email address.
 */
const TRIGGER_PATTERN = new RegExp(`(?<!(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}_])([@＠#＃:：])([^\\s@＠#＃:：]*)$`, 'u');

/** Finds completions for the text before the cursor; undefined when nothing fits. */
export function findCompletion(before: string, sources: CompletionSources): Completion | undefined {
  const [word = ''] = /\S*$/.exec(before) ?? [];
  const triggerMatch = TRIGGER_PATTERN.exec(before);
  const argument = commandLineOptions(before, word, sources);
  const options = (
    argument ??
    (triggerMatch ? triggerOptions(triggerMatch[1] ?? '', triggerMatch[2] ?? '', sources) : addresseeOptions(before, word, sources))
  ).slice(0, MAX_OPTIONS);
  const start = argument === undefined && triggerMatch ? triggerMatch.index : before.length - word.length;
  const isAutomatic = argument !== undefined || (triggerMatch !== null && !isProbablySmiley(triggerMatch));
  return options.length > 0 ? { start, options, isAutomatic } : undefined;
}

/** A colon with at most one letter is more likely a smiley than an emoji name. */
const isProbablySmiley = ([, mark = '', start = '']: RegExpExecArray): boolean => ':：'.includes(mark) && start.length < 2;

/** Undefined unless the cursor is in a command name or in an argument that can be completed. */
function commandLineOptions(before: string, word: string, sources: CompletionSources): Completion['options'] | undefined {
  if (/^\/\S*$/.test(before)) return commandsStartingWith(word.slice(1));
  const completes = argumentKind(before);
  if (completes === 'room') return roomOptions(word.replace(/^[#＃]/, ''), sources, '');
  if (completes === 'name') return sources.namesStartingWith(word.replace(/^[@＠]/, '')).map((name) => ({ label: name, insertText: name }));
  if (completes === 'bell') return filterByPrefix(BELL_MODES, word).map((bell) => ({ label: bell, insertText: bell }));
  return completes === 'emoji' ? emojiOptions(word.replace(/^[:：]/, '')) : undefined;
}

function triggerOptions(trigger: string, start: string, sources: CompletionSources): Completion['options'] {
  if ('@＠'.includes(trigger)) return sources.namesStartingWith(start).map((name) => ({ label: name, insertText: `@${name} ` }));
  if ('#＃'.includes(trigger)) return roomOptions(start, sources, '#');
  return /^[\w+-]/.test(start) ? emojiOptions(start) : [];
}

/** A name at the start of a chat addresses that member: a colon follows it. */
const addresseeOptions = (before: string, word: string, sources: CompletionSources): Completion['options'] =>
  word !== '' && before === word ? sources.namesStartingWith(word).map((name) => ({ label: name, insertText: `${name}: ` })) : [];

const commandOption = (name: string, command: Command): CompletionOption => ({ label: `/${name}`, insertText: `/${name} `, command });
const byName = commands.map((command) => commandOption(command.name, command));
const byAlias = commands.flatMap((command) => (command.aliases ?? []).map((alias) => commandOption(alias, command)));

/** Aliases count only if no command name has the prefix. */
function commandsStartingWith(start: string): CompletionOption[] {
  const found = (all: CompletionOption[]) => all.filter(({ label }) => label.toLowerCase().startsWith(`/${start.toLowerCase()}`));
  const names = found(byName);
  return names.length > 0 ? names : found(byAlias);
}

/** What the argument at the cursor is completed with. */
function argumentKind(before: string): Command['completes'] {
  const [, name = ''] = /^\/(\S+) /.exec(before) ?? [];
  return commands.find((each) => each.name === name || each.aliases?.includes(name))?.completes;
}

const roomOptions = (start: string, { rooms }: CompletionSources, trigger: string) =>
  filterByPrefix(rooms, start).map((id) => ({ label: `#${id}`, insertText: `${trigger}${id}${trigger === '' ? '' : ' '}` }));

const emojiOptions = (start: string) =>
  emojiStartingWith(start).map(({ name, emoji }) => ({ label: `${emoji} ${name}`, insertText: emoji }));

const filterByPrefix = (all: readonly string[], start: string): string[] =>
  all.filter((each) => each.toLowerCase().startsWith(start.toLowerCase()));
