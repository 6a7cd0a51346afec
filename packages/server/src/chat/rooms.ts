import { ChatError, type Payload, type Reply } from '@engawa/protocol';
import type { DraftTicket, Json, ListedRoom, Store } from '../store/store.ts';
import { AnswerBudget } from './budget.ts';
import { comparisonForms } from './confusables.ts';
import { type MemberValue, memberKey, type ReaderValue, readerKey, type Settings, settingsKey } from './keys.ts';
import { joining } from './members.ts';
import { reservationOf } from './names.ts';
import { ADDITION, mustFit, mustHaveRoom, quotaExceeded, UPKEEP } from './quotas.ts';
import { readBy } from './readers.ts';
import { draft, memberCount, mustBeOwner, type Rule, settingsOf, speaker } from './rule.ts';
import { countUnread } from './unread.ts';

export const createRoom: Rule<'create:room'> = {
  rests: () => ({ keys: [settingsKey] }),
  decide(facts, { roomId, username, topic }, { author, node, headroom }) {
    if (facts.epoch !== null) throw new ChatError('room_exists');
    mustHaveRoom(headroom);
    const owner = { username, author };
    const settings = { owner: author, topic: topic ?? '' } satisfies Settings;
    const sets: [string, Json][] = [[settingsKey, settings], ...reservationOf(owner)];
    const member = { username, author } satisfies MemberValue;
    return [
      draft('create:room', owner, { topic }, { sets, tickets: [ownerTicket(author), ...skeletonTickets(roomId)] }),
      // Its look-alikes are reserved.
      joining(
        {
          member,
          sets: [
            [memberKey(username), member],
            [readerKey(author), { username }],
          ],
        },
        { node, quiet: false },
      ),
    ];
  },
  async beforeAppend(store, { roomId }, { author, headroom: { roomsPerSession: most } }) {
    const [owned, isConfusable] = await Promise.all([
      most === null ? 0 : inTime(countOwned(store, author, most), 0),
      inTime(hasLookAlike(store, roomId), false),
    ]);
    if (most !== null && owned >= most) throw quotaExceeded('roomsPerSession');
    if (isConfusable) throw new ChatError('room_confusable');
  },
};

/** Milliseconds. A part of the store that stands still keeps nobody from rooms that are elsewhere. */
const LOOKUP_MS = 500;

/** What is found in time. What cannot be read now may not be where the room is; if it is, the append fails. */
async function inTime<Found>(lookup: Promise<Found>, otherwise: Found): Promise<Found> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Found>((resolve) => (timer = setTimeout(resolve, LOOKUP_MS, otherwise)));
  try {
    return await Promise.race([lookup.catch(() => otherwise), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Holds a ticket for each room that the author opened. No author has a slash. */
const ownerHolder = (author: string): string => `owner/${author}`;

const countOwned = async (store: Store, author: string, most: number): Promise<number> =>
  (await store.tickets(ownerHolder(author), most)).length;

/** By these the rooms of an author are counted. A ticket ends with its room. */
const ownerTicket = (author: string): DraftTicket => ({ holder: ownerHolder(author), key: settingsKey, value: true });

/** Holds the tickets of the rooms that look like a form. No author has a slash. */
const holderOf = (form: string): string => `room-skeleton/${form}`;

/** By these a room is found whose id is not what it looks like. They end with the room. */
export const skeletonTickets = (roomId: string): DraftTicket[] =>
  comparisonForms(roomId)
    .filter((form) => form !== roomId)
    .map((form) => ({ holder: holderOf(form), key: 'room', value: true }));

/** Whether another room's id looks like this one. Those of earlier versions have no tickets: they are found where they are what they look like. */
async function hasLookAlike(store: Store, roomId: string): Promise<boolean> {
  return (await Promise.all(comparisonForms(roomId).map((form) => isFound(store, roomId, form)))).includes(true);
}

async function isFound(store: Store, roomId: string, form: string): Promise<boolean> {
  // Two, for one may be its own.
  const tickets = store.tickets(holderOf(form), 2).then((found) => found.some(({ room }) => room !== roomId));
  const isRoom = form !== roomId && store.read(form, {}).then(({ epoch }) => epoch !== null);
  return (await Promise.all([tickets, isRoom])).includes(true);
}

export const updateRoom: Rule<'update:room'> = {
  rests: ({ username }) => ({ keys: [settingsKey, memberKey(username)] }),
  decide(facts, { username, topic, retention }, caller) {
    const member = speaker(facts, username, caller);
    mustBeOwner(facts, member);
    // To keep less is how an owner frees space.
    mustFit(facts, caller.headroom, retention && topic === undefined ? UPKEEP : ADDITION);
    const changes = { ...(topic !== undefined && { topic }), ...(retention && { retention }) };
    const settings = { ...settingsOf(facts), ...changes } satisfies Settings as unknown as Json;
    return [draft('update:room', member, changes, { sets: [[settingsKey, settings]] })];
  },
};

export const deleteRoom: Rule<'delete:room'> = {
  rests: ({ username }) => ({ keys: [settingsKey, memberKey(username)] }),
  decide(facts, { username }, caller) {
    const member = speaker(facts, username, caller);
    mustBeOwner(facts, member);
    return [draft('delete:room', member, {}, { ends: true })];
  },
};

/** Who asks for a list. */
interface Lister {
  author: string;
  /** Reads when its turn has come. */
  inTurn: <Found>(read: () => Promise<Found>) => Promise<Found>;
  /** Whether it may be counted once more what they have not read in a room. */
  mayCount: () => boolean;
}

export async function listRooms(store: Store, ask: Payload<'list:rooms'>, lister: Lister): Promise<Reply<'list:rooms'>> {
  const keys = [settingsKey, readerKey(lister.author)];
  const { rooms, more } = await lister.inTurn(() => store.rooms({ ...pageAfter(ask), keys, counts: [''] }));
  const described = await Promise.all(rooms.map(async (room) => ({ ...describe(room), ...(await readingOf(store, room, lister)) })));
  const fitting = new AnswerBudget().fill(described);
  return { rooms: fitting, more: more || fitting.length < rooms.length };
}

/** How far the asker has read in a room that they were in, and what is unread. */
async function readingOf(store: Store, { room, head, keys }: ListedRoom, { author, inTurn, mayCount }: Lister) {
  const reader = keys.get(readerKey(author));
  if (!reader) return {};
  const read = readBy(reader);
  const { username } = reader.value as unknown as ReaderValue;
  if (read >= head) return { read, unread: 0, mentions: 0 };
  return mayCount() ? { read, ...(await inTurn(() => countUnread(store, room, { author, username, read, head }))) } : { read };
}

function describe(listed: ListedRoom): Reply<'list:rooms'>['rooms'][number] {
  const settings = listed.keys.get(settingsKey)?.value as Settings | undefined;
  return { roomId: listed.room, topic: settings?.topic ?? '', members: memberCount(listed), seq: listed.head, at: listed.at };
}

const pageAfter = ({ after, limit }: Payload<'list:rooms'>) => (after === undefined ? { limit } : { after, limit });
