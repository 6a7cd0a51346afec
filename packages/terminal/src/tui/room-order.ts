// The order of rooms in the room list, and the next unread room.
import type { State } from './state.ts';
import type { Tab } from './tab.ts';

type RoomListState = Pick<State, 'tabs' | 'active'>;

/** Rooms with unread chats, except the active one: those with mentions first, otherwise in list order. */
export function unreadTabs({ tabs, active }: RoomListState): Tab[] {
  const unread = tabs.filter((tab) => tab !== active && tab.alertingUnread.count > 0);
  const isMentioned = (tab: Tab) => tab.alertingUnread.mentions > 0;
  return [...unread.filter(isMentioned), ...unread.filter((tab) => !isMentioned(tab))];
}

/** Without mentions, the next one after the active room, so that repeated calls visit all rooms. */
export function nextUnreadTab({ tabs, active }: RoomListState): Tab | undefined {
  const at = active ? tabs.indexOf(active) : -1;
  return unreadTabs({ tabs: [...tabs.slice(at + 1), ...tabs.slice(0, at + 1)], active })[0];
}

export interface VisibleRooms {
  /** The visible rooms, from the top. */
  tabs: readonly Tab[];
  /** Rooms above and below the scrolled part. */
  above: number;
  below: number;
}

/** The rooms that fit: all in list order if possible; otherwise unread ones first, and some others around the active one. */
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
