// The choices of the room chooser, ranked by what is typed.
import { unreadTabs } from './room-order.ts';
import type { ListedRoom, State } from './state.ts';
import type { Tab } from './tab.ts';

export interface RoomChoice {
  roomId: string;
  /** If the room is open. */
  tab?: Tab | undefined;
  /** If the server lists the room. */
  listedRoom?: ListedRoom | undefined;
  /** No room with this name is known. */
  isNew?: true;
}

/** Open rooms first, the active one last of them; then other rooms by recent activity. Better matches come first. */
export function roomChoices(state: State): RoomChoice[] {
  const { panel, prompt } = state;
  if (panel?.kind !== 'rooms') return [];
  const typed = prompt.text
    .replace(/^[#＃]/, '')
    .trim()
    .normalize();
  const query = foldText(typed);
  const ranked = allChoices(state, panel.rooms ?? []).flatMap((choice) => {
    const rank = matchRank(choice, query);
    return rank === undefined ? [] : [{ choice, rank }];
  });
  const choices = ranked.sort((one, other) => one.rank - other.rank).map(({ choice }) => choice);
  return typed === '' || choices.some(({ roomId }) => roomId === typed) ? choices : [...choices, { roomId: typed, isNew: true }];
}

/** The index of the chosen room; 0 if it is no longer listed. */
export function chosenIndex(choices: readonly RoomChoice[], state: State): number {
  const chosen = state.panel?.kind === 'rooms' ? state.panel.chosen : undefined;
  if (!chosen) return 0;
  return Math.max(
    0,
    choices.findIndex(({ roomId, isNew = false }) => roomId === chosen.roomId && isNew === chosen.isNew),
  );
}

function allChoices(state: State, rooms: readonly ListedRoom[]): RoomChoice[] {
  const { tabs, active } = state;
  const byId = new Map(rooms.map((room) => [room.roomId, room]));
  const unread = unreadTabs(state);
  const read = tabs.filter((tab) => tab !== active && !unread.includes(tab));
  const open = [...unread, ...read, ...(active ? [active] : [])];
  const isOpen = new Set(open.map(({ id }) => id));
  const others = rooms.filter(({ roomId }) => !isOpen.has(roomId)).sort((one, other) => other.at - one.at);
  return [
    ...open.map((tab): RoomChoice => ({ roomId: tab.id, tab, listedRoom: byId.get(tab.id) })),
    ...others.map((listedRoom): RoomChoice => ({ roomId: listedRoom.roomId, listedRoom })),
  ];
}

/** Smaller is better: exact name, prefix, part of the name, topic, letters in order. Undefined if it does not match. */
function matchRank({ roomId, listedRoom }: RoomChoice, query: string): number | undefined {
  const name = foldText(roomId);
  if (query === '' || name === query) return 0;
  if (name.startsWith(query)) return 1;
  if (name.includes(query)) return 2;
  if (foldText(listedRoom?.topic ?? '').includes(query)) return 3;
  return isSubsequence(name, query) ? 4 : undefined;
}

function isSubsequence(name: string, letters: string): boolean {
  let at = 0;
  for (const letter of letters) {
    const found = name.indexOf(letter, at);
    if (found === -1) return false;
    at = found + letter.length;
  }
  return true;
}

const foldText = (text: string): string => text.normalize('NFKC').toLowerCase();
