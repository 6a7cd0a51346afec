import type { Key } from '../screen/key.ts';
import type { Words } from '../words/words.ts';

/** What a key may do beside typing. */
export type Action =
  | 'send'
  | 'newline'
  | 'complete'
  | 'completeBack'
  | 'nextRoom'
  | 'previousRoom'
  | 'nextUnread'
  | 'goToRoom'
  | `room${number}`
  | 'pageUp'
  | 'pageDown'
  | 'oldest'
  | 'newest'
  | 'selectOlder'
  | 'selectNewer'
  | 'up'
  | 'down'
  | 'editor'
  | 'roomList'
  | 'redraw'
  | 'suspend'
  | 'escape'
  | 'clear'
  | 'end';

interface Binding {
  /** As {@link nameOf} names them. */
  keys: Record<string, Action>;
  /** As people read them. */
  shown: string;
  what: keyof Words['keys'];
}

const numbered = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`alt+${at + 1}`, `room${at}`])) as Record<string, Action>;

/** All keys but those of the line that is typed; `/help` and the page of the manual are made of it. */
export const bindings: readonly Binding[] = [
  { keys: { enter: 'send' }, shown: 'Enter', what: 'send' },
  {
    keys: { 'alt+enter': 'newline', 'shift+enter': 'newline', 'ctrl+enter': 'newline', 'ctrl+j': 'newline' },
    shown: 'Alt+Enter, Ctrl+J',
    what: 'newline',
  },
  { keys: { 'alt+e': 'editor', f4: 'editor' }, shown: 'Alt+E, F4', what: 'editor' },
  { keys: { tab: 'complete', 'shift+tab': 'completeBack' }, shown: 'Tab', what: 'complete' },
  { keys: { 'ctrl+n': 'nextRoom', 'ctrl+p': 'previousRoom' }, shown: 'Ctrl+N, Ctrl+P', what: 'nextRoom' },
  { keys: { 'alt+a': 'nextUnread', f3: 'nextUnread' }, shown: 'Alt+A, F3', what: 'nextUnread' },
  { keys: { 'alt+g': 'goToRoom', 'ctrl+g': 'goToRoom' }, shown: 'Alt+G, Ctrl+G', what: 'goToRoom' },
  { keys: numbered, shown: 'Alt+1 … Alt+9', what: 'numberedRoom' },
  { keys: { pageup: 'pageUp', pagedown: 'pageDown' }, shown: 'PageUp, PageDown', what: 'scroll' },
  { keys: { home: 'oldest', end: 'newest', 'ctrl+home': 'oldest', 'ctrl+end': 'newest' }, shown: 'Home, End', what: 'ends' },
  { keys: { 'alt+up': 'selectOlder', 'alt+down': 'selectNewer' }, shown: 'Alt+Up, Alt+Down', what: 'select' },
  { keys: {}, shown: 'r, e, d, +, c, Enter', what: 'selected' },
  { keys: { up: 'up', down: 'down' }, shown: 'Up, Down', what: 'editLast' },
  { keys: { f2: 'roomList', 'alt+r': 'roomList' }, shown: 'F2', what: 'roomList' },
  { keys: { 'ctrl+l': 'redraw' }, shown: 'Ctrl+L', what: 'redraw' },
  { keys: { 'ctrl+z': 'suspend' }, shown: 'Ctrl+Z', what: 'suspend' },
  { keys: { escape: 'escape' }, shown: 'Esc', what: 'escape' },
  { keys: { 'ctrl+c': 'clear' }, shown: 'Ctrl+C', what: 'clear' },
  { keys: { 'ctrl+d': 'end' }, shown: 'Ctrl+D', what: 'end' },
];

const actions = new Map(bindings.flatMap(({ keys }) => Object.entries(keys)));

export const actionOf = (key: Key): Action | undefined => (key.kind === 'key' ? actions.get(nameOf(key)) : undefined);

/** `ctrl+n`, `alt+up`, `enter`. */
const nameOf = ({ name, ctrl, alt, shift }: Extract<Key, { kind: 'key' }>): string =>
  `${ctrl ? 'ctrl+' : ''}${alt ? 'alt+' : ''}${shift ? 'shift+' : ''}${name}`;
