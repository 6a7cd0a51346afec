/** Checks that a timeline shows what a fresh load of the room would show. */
import { isDeepStrictEqual } from 'node:util';
import type { Chat, Room } from '@engawa/client';

/** The differences between the timeline, wherever its window is moved, and a fresh load of the room; empty if there are none. */
export async function findTimelineFaults(room: Room): Promise<string[]> {
  const { timeline } = room;
  while (timeline.hasOlder) {
    const older = await timeline.loadOlder(500);
    if (!older.ok) return [`${room.username} is refused what is older: ${older.error.code}`];
  }
  const all = await freshLoad(room);
  const faults = findWindowFaults(room, all);
  if (!timeline.hasNewer) return faults;
  await timeline.around(room.position.seq);
  return [...faults, ...findWindowFaults(room, all), ...(room.timeline.hasNewer ? [`${room.username} is not back at the newest`] : [])];
}

function findWindowFaults({ username, timeline }: Room, all: Chat[]): string[] {
  const { chats, hasOlder, hasNewer } = timeline;
  const shown = chats.filter(({ state }) => state === undefined);
  const isSending = chats.some(({ state }) => state === 'sending');
  const first = hasOlder ? all.findIndex(({ seq }) => seq === shown[0]?.seq) : 0;
  const fresh = all.slice(first, hasNewer ? first + shown.length : undefined);
  const index = Array.from({ length: Math.max(shown.length, fresh.length) }, (_, index) => index).find(
    (index) => !isDeepStrictEqual(shown[index], fresh[index]),
  );
  return [
    ...(isSending ? [`${username} has chats on their way`] : []),
    ...(index === undefined ? [] : [`${username} is shown ${JSON.stringify(shown[index])} and not ${JSON.stringify(fresh[index])}`]),
  ];
}

/** All chats, as pages return them. */
async function freshLoad(room: Room): Promise<Chat[]> {
  const pages: Chat[][] = [];
  for (let before: number | undefined, hasMore = true; hasMore; before = pages.at(-1)?.[0]?.seq) {
    const page = await room.history({ limit: 500, ...(before !== undefined && { before }) });
    if (!page.ok) throw new Error(`The history is refused: ${page.error.code}`);
    pages.push(page.chats.map(sortReactions));
    hasMore = page.hasMore.before;
  }
  return pages.toReversed().flat();
}

const sortReactions = (chat: Chat): Chat =>
  chat.reactions ? { ...chat, reactions: chat.reactions.toSorted((one, other) => (one.reaction < other.reaction ? -1 : 1)) } : chat;
