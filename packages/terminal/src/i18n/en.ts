// English message catalogue of the terminal client.

import type { SystemNote } from '@engawa/chat-view';
import type { ConnectionError, ErrorInfo } from '@engawa/client';
import { CHAT_TEXT } from '@engawa/protocol/text';
import type { BellMode } from '../view-model/alerts.ts';
import { isToday } from './days.ts';

const day = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const shortDay = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });
const MAX_NAMES = 3;
const formatCount = (count: number): string => count.toLocaleString('en');

function joinNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** Describes the events between two chats. */
function describeNotes(all: readonly SystemNote[], safe: (text: string) => string): string[] {
  const usernamesOf = (kind: SystemNote['kind']) => [
    ...new Set(all.filter((note) => note.kind === kind).map(({ username }) => safe(username))),
  ];
  const phrase = (kind: SystemNote['kind'], what: string) =>
    usernamesOf(kind).length > 0 ? [`${joinNames(usernamesOf(kind))} ${what}`] : [];
  const removed = all.filter(({ kind }) => kind === 'removed').map(({ by, username }) => `${safe(by)} removed ${safe(username)}`);
  const topics = all.filter(({ kind }) => kind === 'topic').slice(-1);
  const topic = topics.map(({ by, topic = '' }) =>
    topic === '' ? `${safe(by)} removed the topic` : `${safe(by)} set the topic: ${safe(topic)}`,
  );
  const line = [
    ...phrase('joined', 'joined'),
    ...phrase('left', 'left'),
    ...phrase('timed_out', 'left (connection gone)'),
    ...removed,
    ...topic,
  ].join(' · ');
  return line === '' ? [] : [line];
}

export const en = {
  language: 'en' as 'en' | 'ja',
  clock: (at: number): string => new Date(at).toTimeString().slice(0, 5),
  day: (at: number): string => day.format(at),
  notes: describeNotes,

  deleted: '(deleted)',
  edited: '(edited)',
  unknownChat: 'an earlier chat',
  notSent: (why: string): string => `✗ not sent: ${why} — /retry or /discard`,
  moreBelow: 'newer chats below',
  moreAbove: 'older chats above',
  newChats: 'new',
  refusal: (error: ErrorInfo | undefined): string => error?.message ?? 'it was refused.',

  connectionError: (error: ConnectionError): string => error.message,

  connecting: 'connecting',
  online: 'connected',
  reconnecting: (waiting: number): string => `reconnecting${waiting > 0 ? `, ${waiting} waiting to send` : ''}`,
  offlineSince: (clock: string, waiting: number): string => `offline since ${clock}${waiting > 0 ? `, ${waiting} waiting to send` : ''}`,
  catchingUp: 'catching up',
  joining: 'joining',
  closed: 'closed',
  sending: (waiting: number): string => `sending ${waiting}`,

  rooms: 'Rooms',
  membersOnline: (online: number, members: number): string => (online === members ? `${members} here` : `${online} of ${members} here`),
  unreadElsewhere: (count: number): string => `${count} new in other rooms`,
  unreadBelow: (count: string): string => `↓ ${count} new (End)`,
  newestBelow: '↓ newest (End)',
  typing: (names: readonly string[], several: boolean): string => {
    if (several || names.length > MAX_NAMES) return 'several people are typing…';
    return `${joinNames(names)} ${names.length === 1 ? 'is' : 'are'} typing…`;
  },
  replyingTo: (name: string, text: string): string => `reply to ${name}: ${text}`,
  editing: (text: string): string => `edit: ${text}`,
  escape: 'Esc cancels',
  letters: { reply: 'r reply', edit: 'e edit', delete: 'd delete', react: '+ react', copy: 'c copy', jump: 'Enter: what it answers' },
  escapeHint: 'Esc',
  selectedByMouse: 'selected: /reply, /edit, /delete, /react or /copy · Esc',
  tooSmall: 'The window is too small: 20 columns and 5 rows are enough.',
  helpHint: '/help',

  placeholder: 'Say something',
  noRoom: 'No room is open. /join ROOM opens one.',
  chooserTitle: 'Go to a room',
  chooserHint: '↑ ↓ choose, Enter joins; type a part of a name, or the name of a new room.',
  chooserEmpty: 'There is no room yet: type a name and press Enter to open one.',
  chooserLoading: 'loading the rooms…',
  welcome: (name: string, server: string): string => `You are ${name} on ${server} (--as NAME and --server URL change that).`,
  firstSteps: (hint: string): string[] => [
    `1. ${hint}`,
    '2. Then type to talk: Enter sends, Tab completes names, rooms and commands.',
    '3. /help lists all that you can do; Ctrl+C twice quits.',
  ],
  roomIsOpen: 'open',
  activityTime: (at: number): string => (isToday(at) ? en.clock(at) : shortDay.format(at)),
  chooserNew: (id: string): string => `new room: ${id}`,
  members: (count: number): string => (count === 1 ? '1 member' : `${count} members`),
  nameTaken: (room: string, name: string): string =>
    `In ${room} the name ${name} is taken by another member. Type another one and press Enter; Esc: not now.`,
  nameConfusable: (room: string, name: string): string =>
    `In ${room} the name ${name} looks like that of a member. Type another one and press Enter; Esc: not now.`,
  namePrompt: 'name',
  roomPrompt: 'room',
  ending: (reason: string, by: string | undefined): string =>
    reason === 'removed' ? `${by ?? 'The owner'} removed you.` : reason === 'deleted' ? 'The room was deleted.' : 'The room has ended.',
  endedHint: '/close closes it, /join joins it again.',

  helpTitle: 'Help',
  helpCommands: 'Commands',
  helpKeys: 'Keys',
  whoTitle: (count: number): string => `Who is here: ${count}`,
  andMore: 'and more',
  presence: { online: 'here', away: 'away', offline: 'not connected' },
  owner: 'owner',
  panelHint: 'Esc closes',
  panelScrolls: (first: number, last: number, all: number): string => `${first}–${last} of ${all} · ↑ ↓ scroll · Esc closes`,

  quitAgain: 'Press Ctrl+C again to quit. You stay a member; what you typed is saved.',
  historyReset: 'Too many chats were missed, or the server lost some: these are the newest chats.',
  unknownCommand: (name: string, nearest: string | undefined): string =>
    `There is no /${name}.${nearest === undefined ? '' : ` Did you mean /${nearest}?`} Begin with // to send a slash.`,
  usage: (usage: string): string => `Usage: ${usage}`,
  needsRoom: 'Open a room first: /join ROOM',
  notFound: (query: string): string => `“${query}” is in none of the chats that are loaded. Scroll back to load more.`,
  searchPosition: (at: number, all: number): string => `${at} of ${all} · ↑ older · ↓ newer · Esc`,
  nothingToEdit: 'You have no chat here to edit or delete.',
  confirmDeletion: (text: string): string => `Delete “${text}”? Enter deletes it, any other key keeps it.`,
  nothingSelected: 'Select a chat first: Alt+Up, or click on it.',
  copied: (text: string): string => `Copied to the clipboard, if your terminal allows it: “${text}”`,
  noClipboard: 'This terminal has no clipboard.',
  nothingFailed: 'No chat has failed.',
  notYetSent: 'The room is not joined yet. What you typed stays here.',
  noSpace: (most: number): string =>
    `Not inserted: the input is limited to ${formatCount(most)} characters. For more: engawa send ROOM < FILE`,
  lengthOfLine: (length: number, chats: number): string => {
    const part = `${formatCount(length)}/${formatCount(CHAT_TEXT.codePoints)}`;
    return chats > 1 ? `${part} · ${chats} chats` : part;
  },
  confirmSplit: (length: number, chats: number): string =>
    `${formatCount(length)} characters make ${chats} chats. Enter sends them, any other key continues the text.`,
  mustFitOneChat: (length: number): string =>
    `This has to fit one chat: ${formatCount(length)} of ${formatCount(CHAT_TEXT.codePoints)} characters.`,
  leftRoom: (room: string): string => `You left ${room}.`,
  memberRemoved: (name: string): string => `${name} is removed.`,
  actionRefused: (why: string): string => `Not done: ${why}`,
  currentTopic: (topic: string): string => (topic === '' ? 'There is no topic.' : `Topic: ${topic}`),
  editorFailed: (command: string): string => `The editor failed: ${command}. VISUAL or EDITOR sets it; your text is unchanged.`,
  editorTooLong: (most: number, path: string): string => `The input is limited to ${formatCount(most)} characters. Your text is in ${path}`,
  isMuted: 'muted',
  muted: (room: string): string => `${room} is muted: the bell never rings, and only mentions of you count as new. /mute unmutes it.`,
  unmuted: (room: string): string => `${room} is no longer muted.`,
  bellSetting: (bell: BellMode): string =>
    ({
      all: 'The bell rings for every chat of others while you are not looking.',
      mentions: 'The bell rings for chats that mention you.',
      off: 'The bell never rings in this room.',
    })[bell],
  allRead: 'All rooms are marked as read.',
  memberList: (count: number, names: string, hasMore: boolean): string => `${count} here: ${names}${hasMore ? ', and more' : ''}`,
  historyFailed: 'These chats cannot be read now.',
  storageFailed: (why: string): string => `What you type is stored in memory only: ${why}`,

  lineModeNeedsRoom: 'Say which room: engawa chat ROOM',

  // Line mode.
  noConnection: 'no connection.',
  retryingConnection: (server: string, why: string): string => `${server}: ${why} Trying again; what you type is saved.`,
  heading: (room: string, topic: string, members: number): string =>
    `${room}${topic && `: ${topic}`} — ${members} here; /help lists what you can type`,
  historyResetLine: 'too many chats were missed, or the server lost some; these are the newest:',
  editedTo: (name: string, text: string): string => `${name} edited: ${text}`,
  chatDeleted: (name: string): string => `${name} deleted a chat`,
  reacted: (name: string, reaction: string): string => `${name} reacted ${reaction}`,
  changedRoom: (name: string): string => `${name} changed the retention of the room`,
  confirmDeletionLine: (text: string): string => `delete “${text}”? Type /delete again to delete it.`,
  /** Without a text, `name` is the placeholder for an unknown chat. */
  replyLine: (name: string, text: string | undefined): string => `(to ${name}${text === undefined ? '' : `, “${text}”`})`,
  splitLine: (length: number, chats: number): string => `${formatCount(length)} characters: sent as ${chats} chats`,
  notSentLine: (why: string, text: string): string => `not sent: ${why} (${text})`,

  commands: {
    help: 'this list',
    join: 'join a room, or open a new one',
    leave: 'leave this room: your name in it becomes free',
    close: 'close this room; you stay a member',
    rooms: 'the rooms of the server, to choose one',
    who: 'who is here',
    topic: 'show the topic, or set it (only the owner)',
    reply: 'reply to the selected chat, or to the newest of another member',
    edit: 'replace the text of the selected chat, or of your newest',
    delete: 'delete the selected chat, or your newest, once you confirm',
    react: 'react to the selected chat, or the newest, with an emoji',
    unreact: 'remove your reaction',
    copy: 'copy the text of the selected chat, or the newest, to the clipboard of your terminal',
    retry: 'send a failed chat again',
    discard: 'discard a failed chat',
    search: 'search the loaded chats; Up and Down move through the results',
    remove: 'remove a member from the room (only the owner)',
    editor: 'write in your editor (VISUAL, EDITOR); the saved text becomes the input',
    mute: 'mute or unmute this room: no bell, and only mentions of you count as new',
    bell: 'when the bell rings in this room: every chat, mentions of you (default), never',
    read: 'mark all rooms as read',
    quit: 'quit; you stay a member until the server frees your name',
    quitLineMode: 'leave the room',
  },
  keys: {
    send: 'send',
    newline: 'a new line',
    editor: 'continue in your editor; Enter sends the result',
    complete: 'complete a command, a name after @, a room after #, an emoji after :',
    nextRoom: 'the next room, the previous one',
    nextUnread: 'the next room with new chats, mentions first',
    goToRoom: 'find a room by a part of its name, or join one',
    numberedRoom: 'the first room, the second …',
    scroll: 'scroll; also the mouse wheel, and in the help Up and Down',
    ends: 'the beginning of the room, the newest chat',
    select: 'select a chat; also a click',
    selected: 'with a chat selected by Alt+Up: reply, edit, delete, react, copy, go to the chat that it replies to',
    editLast: 'with empty input: edit your newest chat; after /search: the other results',
    roomList: 'show or hide the list of rooms',
    redraw: 'redraw the screen',
    suspend: 'suspend the program; fg resumes it',
    escape: 'close a panel; back to the newest chat',
    clear: 'clear the input; twice: quit',
    end: 'with empty input: quit',
  },
};
