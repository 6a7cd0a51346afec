import { ChatError, type Payload, type Reply } from '@engawa/protocol';
import type { Json, ListedRoom, Store } from '../store/store.ts';
import { memberKey, type Settings, settingsKey } from './keys.ts';
import { joining } from './members.ts';
import { draft, memberCount, mustBeOwner, type Rule, settingsOf, speaker } from './rule.ts';

export const createRoom: Rule<'create:room'> = {
  rests: () => ({ keys: [settingsKey] }),
  decide(facts, { username, topic }, { author, node }) {
    if (facts.epoch !== null) throw new ChatError('room_exists');
    const owner = { username, author };
    const settings = { owner: author, topic: topic ?? '' } satisfies Settings;
    return [draft('create:room', owner, { topic }, { sets: [[settingsKey, settings]] }), joining(owner, { node, quiet: false })];
  },
};

export const updateRoom: Rule<'update:room'> = {
  rests: ({ username }) => ({ keys: [settingsKey, memberKey(username)] }),
  decide(facts, { username, topic, retention }, caller) {
    const member = speaker(facts, username, caller);
    mustBeOwner(facts, member);
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
  return { rooms: rooms.map(describe), more };
}

function describe(listed: ListedRoom): Reply<'list:rooms'>['rooms'][number] {
  const settings = listed.keys.get(settingsKey)?.value as Settings | undefined;
  return { roomId: listed.room, topic: settings?.topic ?? '', members: memberCount(listed), seq: listed.head, at: listed.at };
}

const pageAfter = ({ after, limit }: Payload<'list:rooms'>) => (after === undefined ? { limit } : { after, limit });
