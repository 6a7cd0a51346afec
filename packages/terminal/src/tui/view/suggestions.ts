// Lays out the completion list over the timeline.
import { commandUsage } from '../../commands/slash-commands.ts';
import { displayWidth, truncate } from '../../text/display-width.ts';
import { sanitizeLine } from '../../text/sanitize.ts';
import type { Row } from '../../text/styled-span.ts';
import type { State } from '../state.ts';
import { alignEnds } from './cells.ts';

/** Limits for the height of the list. */
const MAX_ROWS = 7;
const MIN_ROWS = 2;

/** The completion options with descriptions, over the end of the timeline; empty if there is no space. */
export function suggestionRows({ completion, messages }: State, columns: number, space: number): Row[] {
  const maxRows = Math.min(MAX_ROWS, Math.floor(space / 2));
  if (!completion || maxRows < MIN_ROWS) return [];
  const { options, at } = completion;
  const first = Math.max(0, Math.min((at ?? 0) - Math.floor(maxRows / 2), options.length - maxRows));
  const shown = options.slice(first, first + maxRows).map(({ label: name, command }) => ({
    // For an alias, shows the alias.
    term: sanitizeLine(command && `/${command.name}` === name ? commandUsage(command) : name),
    about: command ? messages.commands[command.name] : '',
  }));
  const width = Math.min(Math.max(...shown.map(({ term }) => displayWidth(term))), Math.floor(columns / 2));
  const below = options.length - first - shown.length;
  return shown.map(({ term, about }, index) => {
    const isLast = index === shown.length - 1;
    const more = isLast && below > 0 ? ` ↓${below} ` : '';
    const name = truncate(term, width);
    const space = columns - 4 - width - displayWidth(more);
    const left: Row = [
      { text: ` ${name}${' '.repeat(width - displayWidth(name))}  `, color: 'accent' },
      { text: truncate(about, Math.max(0, space)), color: 'muted' },
    ];
    return alignEnds(left, [{ text: more, color: 'muted' }], columns, first + index === at ? 'selected' : 'bar');
  });
}
