// Generates valid requests for every event, with a few rooms, names and entries that many cases share.
import { type EventName, events, LIMITS, type RequestInput } from '@engawa/protocol';
import { BYSTANDER_NAMES, BYSTANDER_ROOM } from '../bystanders.ts';
import type { Random } from './random.ts';

export interface Request {
  event: string;
  payload: unknown;
}

/** Placeholders, replaced at sending by values that the case has received for its room. */
export const LEARNED = { epoch: '$epoch', entryId: '$entryId' } as const;

const EVENT_NAMES = Object.keys(events) as EventName[];
const ROOMS = 40;
const NAMES = ['ana', 'bo', 'cy', 'dee', 'eve', 'fay', 'gus', 'hal'];
const REACTIONS = ['👍', '🎉', '❤️', 'a', '部'];
const TEXTS = ['hello', 'a'.repeat(200), '部屋で話す', '😀😀', 'line\nbreak', '*bold* `code` [x](y)', 'x'.repeat(2_000)];

export const roomIdFrom = (random: Random): string => `fuzz-${random.int(ROOMS)}`;
export const nameFrom = (random: Random): string => random.pick(NAMES);
const anyRoom = (random: Random): string => (random.chance(0.05) ? BYSTANDER_ROOM : roomIdFrom(random));
const anyName = (random: Random): string => (random.chance(0.02) ? random.pick(BYSTANDER_NAMES) : nameFrom(random));
const member = (random: Random) => ({ roomId: anyRoom(random), username: anyName(random) });
const seqFrom = (random: Random): number => 1 + random.int(random.chance(0.8) ? 20 : 1_000);
const limitFrom = (random: Random): number => 1 + random.int(random.chance(0.95) ? 10 : LIMITS.pageMax);

/** Reuses a key in some requests, so that retries occur. */
const withKey = (random: Random): { clientId?: string } => (random.chance(0.3) ? { clientId: `key-${random.int(50)}` } : {});

function heldPosition(random: Random) {
  const seq = random.int(20);
  return {
    ...member(random),
    epoch: random.chance(0.8) ? LEARNED.epoch : 'another',
    seq,
    ...(random.chance(0.3) && { id: LEARNED.entryId }),
  };
}

const makers: { [Name in EventName]: (random: Random) => RequestInput<Name> } = {
  'create:room': (random) => ({ ...member(random), ...(random.chance(0.3) && { topic: 'topic' }), ...withKey(random) }),
  'add:member': (random) => ({ roomId: roomIdFrom(random), username: anyName(random), ...withKey(random) }),
  'remove:member': (random) => ({ ...member(random), ...withKey(random) }),
  'create:chat': (random) => ({
    ...member(random),
    message: random.pick(TEXTS),
    ...(random.chance(0.1) && { replyTo: seqFrom(random) }),
    ...withKey(random),
  }),
  'create:chats': (random) => ({
    ...member(random),
    chats: Array.from({ length: 1 + random.int(5) }, () => ({ message: random.pick(TEXTS), ...withKey(random) })),
    ...withKey(random),
  }),
  'update:chat': (random) => ({ ...member(random), chatSeq: seqFrom(random), message: random.pick(TEXTS), ...withKey(random) }),
  'delete:chat': (random) => ({ ...member(random), chatSeq: seqFrom(random), ...withKey(random) }),
  'add:reaction': (random) => ({ ...member(random), chatSeq: seqFrom(random), reaction: random.pick(REACTIONS) }),
  'remove:reaction': (random) => ({ ...member(random), chatSeq: seqFrom(random), reaction: random.pick(REACTIONS) }),
  'update:room': (random) => ({ ...member(random), ...(random.chance(0.5) ? { topic: 'new' } : { retention: { maxCount: 100 } }) }),
  'delete:room': (random) => ({ ...member(random), ...withKey(random) }),
  'list:rooms': (random) => ({ limit: limitFrom(random), ...(random.chance(0.5) && { after: roomIdFrom(random) }) }),
  'list:members': (random) => ({
    roomId: anyRoom(random),
    limit: limitFrom(random),
    ...(random.chance(0.3) && { after: nameFrom(random) }),
  }),
  'list:chats': (random) => ({
    roomId: anyRoom(random),
    limit: limitFrom(random),
    ...(random.chance(0.5) && { [random.pick(['before', 'after', 'around'])]: seqFrom(random) }),
  }),
  'list:entries': (random) => ({ ...heldPosition(random), roomId: anyRoom(random), limit: limitFrom(random) }),
  'resume:rooms': (random) => ({ rooms: Array.from({ length: 1 + random.int(4) }, () => heldPosition(random)), limit: limitFrom(random) }),
  'start:typing': member,
  'stop:typing': member,
  'update:presence': (random) => ({ ...member(random), presence: random.pick(['online', 'away'] as const) }),
  'mark:read': (random) => ({ ...member(random), seq: seqFrom(random) }),
};

/** Half of the requests are chats, as in real use. */
export function requestFrom(random: Random): Request {
  const event = random.chance(0.4) ? 'create:chat' : random.pick(EVENT_NAMES);
  return { event, payload: makers[event](random) };
}
