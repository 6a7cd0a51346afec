// Key bindings of the full-screen client.
import type { Messages } from '../i18n/messages.ts';
import type { InputEvent } from '../screen/key.ts';

/** The actions of keys, beside editing. */
export type KeyAction =
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

interface KeyBinding {
  /** By the names of {@link keyChord}. */
  keys: Record<string, KeyAction>;
  /** For the help text. */
  label: string;
  messageKey: keyof Messages['keys'];
}

const numberedRoomKeys = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`alt+${at + 1}`, `room${at}`])) as Record<
  string,
  KeyAction
>;

/** All key bindings except those of the line editor. `/help` and the man page are generated from this. */
export const keyBindings: readonly KeyBinding[] = [
  { keys: { enter: 'send' }, label: 'Enter', messageKey: 'send' },
  {
    keys: { 'alt+enter': 'newline', 'shift+enter': 'newline', 'ctrl+enter': 'newline', 'ctrl+j': 'newline' },
    label: 'Alt+Enter, Ctrl+J',
    messageKey: 'newline',
  },
  { keys: { 'alt+e': 'editor', f4: 'editor' }, label: 'Alt+E, F4', messageKey: 'editor' },
  { keys: { tab: 'complete', 'shift+tab': 'completeBack' }, label: 'Tab', messageKey: 'complete' },
  { keys: { 'ctrl+n': 'nextRoom', 'ctrl+p': 'previousRoom' }, label: 'Ctrl+N, Ctrl+P', messageKey: 'nextRoom' },
  { keys: { 'alt+a': 'nextUnread', f3: 'nextUnread' }, label: 'Alt+A, F3', messageKey: 'nextUnread' },
  { keys: { 'alt+g': 'goToRoom', 'ctrl+g': 'goToRoom' }, label: 'Alt+G, Ctrl+G', messageKey: 'goToRoom' },
  { keys: numberedRoomKeys, label: 'Alt+1 … Alt+9', messageKey: 'numberedRoom' },
  { keys: { pageup: 'pageUp', pagedown: 'pageDown' }, label: 'PageUp, PageDown', messageKey: 'scroll' },
  { keys: { home: 'oldest', end: 'newest', 'ctrl+home': 'oldest', 'ctrl+end': 'newest' }, label: 'Home, End', messageKey: 'ends' },
  { keys: { 'alt+up': 'selectOlder', 'alt+down': 'selectNewer' }, label: 'Alt+Up, Alt+Down', messageKey: 'select' },
  { keys: {}, label: 'r, e, d, +, c, Enter', messageKey: 'selected' },
  { keys: { up: 'up', down: 'down' }, label: 'Up, Down', messageKey: 'editLast' },
  { keys: { f2: 'roomList', 'alt+r': 'roomList' }, label: 'F2', messageKey: 'roomList' },
  { keys: { 'ctrl+l': 'redraw' }, label: 'Ctrl+L', messageKey: 'redraw' },
  { keys: { 'ctrl+z': 'suspend' }, label: 'Ctrl+Z', messageKey: 'suspend' },
  { keys: { escape: 'escape' }, label: 'Esc', messageKey: 'escape' },
  { keys: { 'ctrl+c': 'clear' }, label: 'Ctrl+C', messageKey: 'clear' },
  { keys: { 'ctrl+d': 'end' }, label: 'Ctrl+D', messageKey: 'end' },
];

const actions = new Map(keyBindings.flatMap(({ keys }) => Object.entries(keys)));

export const actionForKey = (key: InputEvent): KeyAction | undefined => (key.kind === 'key' ? actions.get(keyChord(key)) : undefined);

/** Such as `ctrl+n`, `alt+up`, `enter`. */
const keyChord = ({ name, ctrl, alt, shift }: Extract<InputEvent, { kind: 'key' }>): string =>
  `${ctrl ? 'ctrl+' : ''}${alt ? 'alt+' : ''}${shift ? 'shift+' : ''}${name}`;
