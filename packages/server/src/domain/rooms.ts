/** The rules of the commands that create, update and delete rooms, and the query list:rooms. */
import { ChatError, type RequestPayload, type ResponsePayload } from '@engawa/protocol';
import type { DraftTicket, Json, RoomSummary, Store } from '../store/contract.ts';
import { type CommandRule, draftEntry, memberCount, requireSettings } from './command.ts';
import { comparisonForms } from './confusables.ts';
import { reserveName } from './member-names.ts';
import { draftJoin } from './members.ts';
import { requirePermission } from './permissions.ts';
import { CONTENT_QUOTA_FACTOR, quotaExceeded, requireHeadroom, requireRoomQuota, UPKEEP_QUOTA_FACTOR } from './quotas.ts';
import { readSeqOf } from './read-marks.ts';
import { ResponseBudget } from './response-budget.ts';
import { type MemberValue, memberKey, type ReaderValue, type RoomSettings, readerKey, settingsKey } from './room-keys.ts';
import { countUnread } from './unread-count.ts';

export const createRoom: CommandRule<'create:room'> = {
  dependencies: () => ({ keys: [settingsKey] }),
  decide(facts, { roomId, username, topic }, { author, node, headroom }) {
    if (facts.epoch !== null) throw new ChatError('room_exists');
    requireRoomQuota(headroom);
    const owner = { username, author };
    const settings = { owner: author, topic: topic ?? '' } satisfies RoomSettings;
    const keyUpdates: [string, Json][] = [[settingsKey, settings], ...reserveName(owner)];
    const member = { username, author } satisfies MemberValue;
    return [
      draftEntry('create:room', owner, { topic }, { keyUpdates, tickets: [ownerTicket(author), ...skeletonTickets(roomId)] }),
      // The confusable forms of the name are already reserved.
      draftJoin(
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
  async beforeAppend(store, { roomId }, { author, headroom: { roomsPerSession: maxRooms } }) {
    const [owned, isConfusable] = await Promise.all([
      maxRooms === null ? 0 : withTimeout(countOwnedRooms(store, author, maxRooms), 0),
      withTimeout(hasConfusableRoom(store, roomId), false),
    ]);
    if (maxRooms !== null && owned >= maxRooms) throw quotaExceeded('roomsPerSession');
    if (isConfusable) throw new ChatError('room_confusable');
  },
};

/** Milliseconds. A partition of the store that does not answer must not block rooms of other partitions. */
const LOOKUP_TIMEOUT_MS = 500;

/** Returns the fallback on timeout or error. If the room's own partition does not answer, the append fails anyway. */
async function withTimeout<Result>(lookup: Promise<Result>, fallback: Result): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<Result>((resolve) => (timer = setTimeout(resolve, LOOKUP_TIMEOUT_MS, fallback)));
  try {
    return await Promise.race([lookup.catch(() => fallback), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Holder of one ticket for each room that the author owns. An author contains no slash. */
const ownerTicketHolder = (author: string): string => `owner/${author}`;

const countOwnedRooms = async (store: Store, author: string, limit: number): Promise<number> =>
  (await store.listTickets(ownerTicketHolder(author), limit)).length;

/** The ticket by which the rooms of an author are counted. It is removed with its room. */
const ownerTicket = (author: string): DraftTicket => ({ holder: ownerTicketHolder(author), key: settingsKey, value: true });

/** Holder of the tickets of rooms with this form. An author contains no slash. */
const skeletonTicketHolder = (form: string): string => `room-skeleton/${form}`;

/** The tickets by which confusable rooms are found, for forms that differ from the room id. They are removed with the room. */
export const skeletonTickets = (roomId: string): DraftTicket[] =>
  comparisonForms(roomId)
    .filter((form) => form !== roomId)
    .map((form) => ({ holder: skeletonTicketHolder(form), key: 'room', value: true }));

/**
 * Whether the id of another room is confusable with this one. Rooms of earlier versions have no tickets: they are found only if
 * their id equals one of the forms.
 */
async function hasConfusableRoom(store: Store, roomId: string): Promise<boolean> {
  return (await Promise.all(comparisonForms(roomId).map((form) => isFormTaken(store, roomId, form)))).includes(true);
}

async function isFormTaken(store: Store, roomId: string, form: string): Promise<boolean> {
  // Limit 2, because one of them may be the room's own.
  const isTicketed = store.listTickets(skeletonTicketHolder(form), 2).then((found) => found.some(({ room }) => room !== roomId));
  const isRoom = form !== roomId && store.read(form, {}).then(({ epoch }) => epoch !== null);
  return (await Promise.all([isTicketed, isRoom])).includes(true);
}

export const updateRoom: CommandRule<'update:room'> = {
  dependencies: ({ username }) => ({ keys: [settingsKey, memberKey(username)] }),
  decide(facts, { username, topic, retention }, caller) {
    const member = requirePermission('update:room', facts, { username }, caller);
    // An owner frees space by a stricter retention.
    requireHeadroom(facts, caller.headroom, retention && topic === undefined ? UPKEEP_QUOTA_FACTOR : CONTENT_QUOTA_FACTOR);
    const changes = { ...(topic !== undefined && { topic }), ...(retention && { retention }) };
    const settings = { ...requireSettings(facts), ...changes } satisfies RoomSettings as unknown as Json;
    return [draftEntry('update:room', member, changes, { keyUpdates: [[settingsKey, settings]] })];
  },
};

export const deleteRoom: CommandRule<'delete:room'> = {
  dependencies: ({ username }) => ({ keys: [settingsKey, memberKey(username)] }),
  decide(facts, { username }, caller) {
    const member = requirePermission('delete:room', facts, { username }, caller);
    return [draftEntry('delete:room', member, {}, { endsRoom: true })];
  },
};

/** The caller of a list. */
interface ListRoomsContext {
  author: string;
  /** Schedules a read of the store. */
  enqueue: <Result>(read: () => Promise<Result>) => Promise<Result>;
  /** Takes a token for counting what is unread in one room; false if none is left. */
  tryTakeCountToken: () => boolean;
}

export async function listRooms(
  store: Store,
  request: RequestPayload<'list:rooms'>,
  context: ListRoomsContext,
): Promise<ResponsePayload<'list:rooms'>> {
  const keys = [settingsKey, readerKey(context.author)];
  const { rooms, hasMore } = await context.enqueue(() => store.listRooms({ ...toPageQuery(request), keys, counts: [''] }));
  const described = await Promise.all(
    rooms.map(async (room) => ({ ...toRoomSummary(room), ...(await readStateOf(store, room, context)) })),
  );
  const fitting = new ResponseBudget().takeFitting(described);
  return { rooms: fitting, hasMore: hasMore || fitting.length < rooms.length };
}

/** How far the caller has read in a room that they joined before, and how much is unread. */
async function readStateOf(store: Store, { room, head, keys }: RoomSummary, { author, enqueue, tryTakeCountToken }: ListRoomsContext) {
  const reader = keys.get(readerKey(author));
  if (!reader) return {};
  const read = readSeqOf(reader);
  const { username } = reader.value as unknown as ReaderValue;
  if (read >= head) return { read, unread: 0, mentions: 0 };
  return tryTakeCountToken() ? { read, ...(await enqueue(() => countUnread(store, room, { author, username, read, head }))) } : { read };
}

function toRoomSummary(listed: RoomSummary): ResponsePayload<'list:rooms'>['rooms'][number] {
  const settings = listed.keys.get(settingsKey)?.value as RoomSettings | undefined;
  return { roomId: listed.room, topic: settings?.topic ?? '', members: memberCount(listed), seq: listed.head, at: listed.at };
}

const toPageQuery = ({ after, limit }: RequestPayload<'list:rooms'>) => (after === undefined ? { limit } : { after, limit });
