import { columnsOf, fitted } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { Row } from '../../text/span.ts';
import { usageOf } from '../commands.ts';
import type { State } from '../state.ts';
import { ends } from './cells.ts';

/** Rows of them at most, and the least that are worth a list. */
const MOST = 7;
const LEAST = 2;

/** What may be completed, each with what it is: a list over the end of the timeline; nothing where there is no room for one. */
export function suggestionRows({ completion, words }: State, columns: number, space: number): Row[] {
  const most = Math.min(MOST, Math.floor(space / 2));
  if (!completion || most < LEAST) return [];
  const { options, at } = completion;
  const first = Math.max(0, Math.min((at ?? 0) - Math.floor(most / 2), options.length - most));
  const shown = options.slice(first, first + most).map(({ shown: name, command }) => ({
    // Of one that is known by another name elsewhere, that name.
    term: safeLine(command && `/${command.name}` === name ? usageOf(command) : name),
    about: command ? words.commands[command.name] : '',
  }));
  const width = Math.min(Math.max(...shown.map(({ term }) => columnsOf(term))), Math.floor(columns / 2));
  const below = options.length - first - shown.length;
  return shown.map(({ term, about }, index) => {
    const isLast = index === shown.length - 1;
    const more = isLast && below > 0 ? ` ↓${below} ` : '';
    const name = fitted(term, width);
    const space = columns - 4 - width - columnsOf(more);
    const left: Row = [
      { text: ` ${name}${' '.repeat(width - columnsOf(name))}  `, ink: 'accent' },
      { text: fitted(about, Math.max(0, space)), ink: 'muted' },
    ];
    return ends(left, [{ text: more, ink: 'muted' }], columns, first + index === at ? 'selected' : 'bar');
  });
}
