/** In which order rooms are listed, and which one comes next. */
import type { State } from './state.ts';
import type { Tab } from './tab.ts';

type Rooms = Pick<State, 'tabs' | 'active'>;

/** The rooms other than the active one in which something is new: those with mentions first, else in their own order. */
export function unreadOf({ tabs, active }: Rooms): Tab[] {
  const unread = tabs.filter((tab) => tab !== active && tab.news.count > 0);
  const isMentioned = (tab: Tab) => tab.news.mentions > 0;
  return [...unread.filter(isMentioned), ...unread.filter((tab) => !isMentioned(tab))];
}

/** After the active one where none has a mention, so that one gets around. */
export function nextUnreadOf({ tabs, active }: Rooms): Tab | undefined {
  const at = active ? tabs.indexOf(active) : -1;
  return unreadOf({ tabs: [...tabs.slice(at + 1), ...tabs.slice(0, at + 1)], active })[0];
}

export interface Listed {
  /** Those in sight, from the top. */
  tabs: readonly Tab[];
  /** How many are above and below the part that scrolls. */
  above: number;
  below: number;
}

/** The rooms in so many rows: all in their own order where they fit, else the unread ones first, and a part of the others around the active one. */
export function listed(rooms: Rooms & Pick<State, 'listFirst'>, space: number): Listed {
  const { tabs, active, listFirst } = rooms;
  if (tabs.length <= space) return { tabs, above: 0, below: 0 };
  const pinned = new Set(unreadOf(rooms).slice(0, Math.floor(space / 2)));
  const others = tabs.filter((tab) => !pinned.has(tab));
  const most = Math.max(0, others.length - (space - pinned.size));
  const around = (active ? others.indexOf(active) : 0) - Math.floor((space - pinned.size) / 2);
  const first = Math.max(0, Math.min(listFirst ?? around, most));
  return { tabs: [...pinned, ...others.slice(first, first + space - pinned.size)], above: first, below: most - first };
}
