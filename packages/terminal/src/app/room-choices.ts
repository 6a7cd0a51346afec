/** The rooms that one may go to: those that are open, those of the server, and a new one, narrowed by what is typed. */
import { unreadOf } from './room-order.ts';
import type { ListedRoom, State } from './state.ts';
import type { Tab } from './tab.ts';

export interface RoomChoice {
  roomId: string;
  /** It is open. */
  tab?: Tab | undefined;
  /** What the server says of it. */
  listed?: ListedRoom | undefined;
  /** There is none of this name, as far as is known. */
  isNew?: true;
}

/** Open rooms first, with the active one at their end, then the others by how lately something happened there; better matches before others. */
export function choicesOf(state: State): RoomChoice[] {
  const { panel, field } = state;
  if (panel?.kind !== 'rooms') return [];
  const typed = field.text
    .replace(/^[#＃]/, '')
    .trim()
    .normalize();
  const wanted = folded(typed);
  const ranked = knownRooms(state, panel.rooms ?? []).flatMap((choice) => {
    const rank = rankOf(choice, wanted);
    return rank === undefined ? [] : [{ choice, rank }];
  });
  const choices = ranked.sort((one, other) => one.rank - other.rank).map(({ choice }) => choice);
  return typed === '' || choices.some(({ roomId }) => roomId === typed) ? choices : [...choices, { roomId: typed, isNew: true }];
}

/** The index of the one that was chosen: the first when that is gone. */
export function chosenIn(choices: readonly RoomChoice[], state: State): number {
  const chosen = state.panel?.kind === 'rooms' ? state.panel.chosen : undefined;
  if (!chosen) return 0;
  return Math.max(
    0,
    choices.findIndex(({ roomId, isNew = false }) => roomId === chosen.roomId && isNew === chosen.isNew),
  );
}

function knownRooms(state: State, rooms: readonly ListedRoom[]): RoomChoice[] {
  const { tabs, active } = state;
  const byId = new Map(rooms.map((room) => [room.roomId, room]));
  const unread = unreadOf(state);
  const read = tabs.filter((tab) => tab !== active && !unread.includes(tab));
  const open = [...unread, ...read, ...(active ? [active] : [])];
  const isOpen = new Set(open.map(({ id }) => id));
  const others = rooms.filter(({ roomId }) => !isOpen.has(roomId)).sort((one, other) => other.at - one.at);
  return [
    ...open.map((tab): RoomChoice => ({ roomId: tab.id, tab, listed: byId.get(tab.id) })),
    ...others.map((listed): RoomChoice => ({ roomId: listed.roomId, listed })),
  ];
}

/** The less the better: the name, its beginning, a part of it, its topic, its letters in their order. Nothing when it does not match. */
function rankOf({ roomId, listed }: RoomChoice, wanted: string): number | undefined {
  const name = folded(roomId);
  if (wanted === '' || name === wanted) return 0;
  if (name.startsWith(wanted)) return 1;
  if (name.includes(wanted)) return 2;
  if (folded(listed?.topic ?? '').includes(wanted)) return 3;
  return hasInOrder(name, wanted) ? 4 : undefined;
}

function hasInOrder(name: string, letters: string): boolean {
  let at = 0;
  for (const letter of letters) {
    const found = name.indexOf(letter, at);
    if (found === -1) return false;
    at = found + letter.length;
  }
  return true;
}

const folded = (text: string): string => text.normalize('NFKC').toLowerCase();
