import { ChatError, type Payload, type Reply } from '@engawa/protocol';
import type { DraftTicket, Json, ListedRoom, Store } from '../store/store.ts';
import { AnswerBudget } from './budget.ts';
import { memberKey, type Settings, settingsKey } from './keys.ts';
import { joining } from './members.ts';
import { ADDITION, mustFit, mustHaveRoom, quotaExceeded, UPKEEP } from './quotas.ts';
import { draft, memberCount, mustBeOwner, type Rule, settingsOf, speaker } from './rule.ts';

export const createRoom: Rule<'create:room'> = {
  rests: () => ({ keys: [settingsKey] }),
  decide(facts, { username, topic }, { author, node, headroom }) {
    if (facts.epoch !== null) throw new ChatError('room_exists');
    mustHaveRoom(headroom);
    const owner = { username, author };
    const settings = { owner: author, topic: topic ?? '' } satisfies Settings;
    const effects = { sets: [[settingsKey, settings] satisfies [string, Json]], tickets: [ownerTicket(author)] };
    return [draft('create:room', owner, { topic }, effects), joining(owner, { node, quiet: false })];
  },
  async beforeAppend(store, _, { author, headroom: { roomsPerSession: most } }) {
    if (most !== null && (await store.tickets(ownerHolder(author), most)).length >= most) throw quotaExceeded('roomsPerSession');
  },
};

/** Holds a ticket for each room that the author opened. No author has a slash. */
const ownerHolder = (author: string): string => `owner/${author}`;

/** By these the rooms of an author are counted. A ticket ends with its room. */
const ownerTicket = (author: string): DraftTicket => ({ holder: ownerHolder(author), key: settingsKey, value: true });

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

export async function listRooms(store: Store, ask: Payload<'list:rooms'>): Promise<Reply<'list:rooms'>> {
  const { rooms, more } = await store.rooms({ ...pageAfter(ask), keys: [settingsKey], counts: [''] });
  const fitting = new AnswerBudget().fill(rooms.map(describe));
  return { rooms: fitting, more: more || fitting.length < rooms.length };
}

function describe(listed: ListedRoom): Reply<'list:rooms'>['rooms'][number] {
  const settings = listed.keys.get(settingsKey)?.value as Settings | undefined;
  return { roomId: listed.room, topic: settings?.topic ?? '', members: memberCount(listed), seq: listed.head, at: listed.at };
}

const pageAfter = ({ after, limit }: Payload<'list:rooms'>) => (after === undefined ? { limit } : { after, limit });
