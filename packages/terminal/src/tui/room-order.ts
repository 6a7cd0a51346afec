/** In which order rooms are listed, and which one comes next. */
import type { State } from './state.ts';
import type { Tab } from './tab.ts';

type RoomListState = Pick<State, 'tabs' | 'active'>;

/** The rooms other than the active one in which something is new: those with mentions first, else in their own order. */
export function unreadTabs({ tabs, active }: RoomListState): Tab[] {
  const unread = tabs.filter((tab) => tab !== active && tab.alertingUnread.count > 0);
  const isMentioned = (tab: Tab) => tab.alertingUnread.mentions > 0;
  return [...unread.filter(isMentioned), ...unread.filter((tab) => !isMentioned(tab))];
}

/** After the active one where none has a mention, so that one gets around. */
export function nextUnreadTab({ tabs, active }: RoomListState): Tab | undefined {
  const at = active ? tabs.indexOf(active) : -1;
  return unreadTabs({ tabs: [...tabs.slice(at + 1), ...tabs.slice(0, at + 1)], active })[0];
}

export interface VisibleRooms {
  /** Those in sight, from the top. */
  tabs: readonly Tab[];
  /** How many are above and below the part that scrolls. */
  above: number;
  below: number;
}

/** The rooms in so many rows: all in their own order where they fit, else the unread ones first, and a part of the others around the active one. */
export function visibleRooms(rooms: RoomListState & Pick<State, 'listFirst'>, height: number): VisibleRooms {
  const { tabs, active, listFirst } = rooms;
  if (tabs.length <= height) return { tabs, above: 0, below: 0 };
  const pinned = new Set(unreadTabs(rooms).slice(0, Math.floor(height / 2)));
  const others = tabs.filter((tab) => !pinned.has(tab));
  const maxFirst = Math.max(0, others.length - (height - pinned.size));
  const around = (active ? others.indexOf(active) : 0) - Math.floor((height - pinned.size) / 2);
  const first = Math.max(0, Math.min(listFirst ?? around, maxFirst));
  return { tabs: [...pinned, ...others.slice(first, first + height - pinned.size)], above: first, below: maxFirst - first };
}
