import { isDeepStrictEqual } from 'node:util';
import type { Chat, Room } from '@engawa/client';

/** In what the timeline, with all that is older, is another than who opens the room anew would see; empty when it is not. */
export async function faultsOfTimeline(room: Room): Promise<string[]> {
  // There is room for so many; what is older than those is not shown.
  for (let added = 1; room.timeline.hasOlder && added > 0; ) {
    const older = await room.timeline.loadOlder(500);
    if (!older.ok) return [`${room.username} is refused what is older: ${older.error.code}`];
    added = older.added;
  }
  const { chats } = room.timeline;
  const shown = chats.filter(({ state }) => state === undefined);
  const isSending = chats.some(({ state }) => state === 'sending');
  const fresh = (await freshLoad(room)).slice(room.timeline.hasOlder ? -shown.length : 0);
  const at = Array.from({ length: Math.max(shown.length, fresh.length) }, (_, index) => index).find(
    (index) => !isDeepStrictEqual(shown[index], fresh[index]),
  );
  return [
    ...(isSending ? [`${room.username} has chats on their way`] : []),
    ...(at === undefined ? [] : [`${room.username} is shown ${JSON.stringify(shown[at])} and not ${JSON.stringify(fresh[at])}`]),
  ];
}

/** All chats, as pages show them. */
async function freshLoad(room: Room): Promise<Chat[]> {
  const pages: Chat[][] = [];
  for (let before: number | undefined, more = true; more; before = pages.at(-1)?.[0]?.seq) {
    const page = await room.history({ limit: 500, ...(before !== undefined && { before }) });
    if (!page.ok) throw new Error(`The history is refused: ${page.error.code}`);
    pages.push(page.chats.map(arranged));
    more = page.more.before;
  }
  return pages.toReversed().flat();
}

const arranged = (chat: Chat): Chat =>
  chat.reactions ? { ...chat, reactions: chat.reactions.toSorted((one, other) => (one.reaction < other.reaction ? -1 : 1)) } : chat;
