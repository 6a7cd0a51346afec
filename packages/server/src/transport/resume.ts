import { ChatError, type Payload, type Reply, type Resumed } from '@engawa/protocol';
import { AnswerBudget, jsonBytes } from '../chat/budget.ts';
import { memberKey, type TicketValue } from '../chat/keys.ts';
import { countMembers } from '../chat/members.ts';
import { deferred, type Held, hasPlace, pageFor, resumed } from '../chat/resume.ts';
import { memberNamed, mustExist, speaker } from '../chat/rule.ts';
import type { Store } from '../store/store.ts';
import { connectionOf, type LocalRoom } from './local-room.ts';
import { rejoin } from './recovery.ts';
import type { Services } from './services.ts';
import { Tickets } from './tickets.ts';
import type { Peer } from './wire.ts';
import { toWireError } from './wire-error.ts';

/**
 * Everything that a client missed in its rooms, as far as there is place for it in one answer: it is seated first, then the
 * log is read, so nothing falls between. The first room is told at least something, whatever it has.
 */
export async function resumeRooms(
  services: Services,
  peer: Peer,
  { rooms, limit, bytes }: Payload<'resume:rooms'>,
): Promise<Reply<'resume:rooms'>> {
  const connection = connectionOf(peer);
  connection.mayResume(rooms.length);
  await services.turnstile.pass();
  await services.leases.awake();
  const seats = await seatAll(services, peer, rooms);
  const whole = new AnswerBudget();
  for (const held of rooms) whole.take(jsonBytes(deferred(held)));
  const budget = whole.upTo(bytes);
  const answers: Resumed[] = [];
  for (const [index, seat] of seats.entries()) {
    if (index > 0) await services.turnstile.pass();
    const isPutOff = index > 0 && 'room' in seat && !hasPlace(budget);
    if (isPutOff) connection.resumedLess(1);
    answers.push(isPutOff ? deferred(seat.held) : await resumeRoom(services, peer, { seat, limit, budget }));
  }
  return { rooms: answers };
}

/** Where the client sits again, or why it does not. */
type Seat = { held: Held } & ({ room: LocalRoom } | { refusal: unknown });

/** It is looked up first where it is a member: a room that is not its own is not opened, and its tickets are read once. */
async function seatAll(services: Services, peer: Peer, rooms: Held[]): Promise<Seat[]> {
  const { store, limits, turnstile } = services;
  const { author } = connectionOf(peer).identity;
  const standings = await Promise.allSettled(rooms.map((held) => isMember(store, author, held)));
  const tickets = new Tickets(store, author, limits.roomsPerConnection);
  const claims = rooms.map((held, index): Claim => ({ held, standing: standings[index] as PromiseSettledResult<boolean>, tickets }));
  return turnstile.each(claims, async (claim) => {
    const { held } = claim;
    return seat(services, peer, claim).then(
      (room) => ({ held, room }),
      (refusal: unknown) => ({ held, refusal }),
    );
  });
}

async function isMember(store: Store, author: string, { roomId, username }: Held): Promise<boolean> {
  const facts = await store.read(roomId, { keys: [memberKey(username)] });
  mustExist(facts);
  return memberNamed(facts, username)?.author === author;
}

interface Claim {
  held: Held;
  standing: PromiseSettledResult<boolean>;
  tickets: Tickets;
}

/** A guest whose name lapsed while they were away joins anew. */
async function seat(services: Services, peer: Peer, { held, standing, tickets }: Claim): Promise<LocalRoom> {
  const connection = connectionOf(peer);
  if (standing.status === 'rejected') throw standing.reason;
  if (!peer.connected) throw new ChatError('busy');
  connection.maySit(held);
  if (!standing.value) {
    mustHaveLapsed(await tickets.of(held));
    connection.address?.budgets.mayRejoin(held.roomId);
    await rejoin(services, connection, held);
  }
  return services.fanOut.comeBack(peer, held).catch(async (error: unknown) => {
    throw await refusalFor(services, peer, held, error);
  });
}

/** Who was removed is told so: they are not to come back by themselves. */
function mustHaveLapsed(ticket: TicketValue | undefined): void {
  if (ticket?.removed) throw new ChatError('removed');
  if (!ticket) throw new ChatError('not_a_member');
}

interface Resume {
  seat: Seat;
  /** Entries at most. */
  limit: number;
  budget: AnswerBudget;
}

async function resumeRoom(services: Services, peer: Peer, { seat, limit, budget }: Resume): Promise<Resumed> {
  const { held } = seat;
  if ('refusal' in seat) return refused(services, held, seat.refusal);
  try {
    const { author } = connectionOf(peer).identity;
    const answer = await readOn(services, seat.room, { held, author, limit, budget });
    await mustStillBeMember(services, peer, held);
    return answer;
  } catch (error) {
    return refused(services, held, await refusalFor(services, peer, held, error));
  }
}

const refused = ({ log }: Services, { roomId }: Held, refusal: unknown): Resumed => ({
  outcome: 'refused',
  roomId,
  error: toWireError(refusal, 'resume:rooms', log),
});

type Missed = Extract<Resumed, { entries: unknown }>;

interface Reading extends Omit<Resume, 'seat'> {
  held: Held;
  author: string;
}

async function readOn({ store }: Services, room: LocalRoom, { held, author, limit, budget }: Reading): Promise<Resumed> {
  const from = await room.pastQuiet(held);
  const page = await room.page(pageFor(from, limit, budget));
  const answer = await resumed({ store, held: from, author, page, online: room.signals.online, budget });
  return 'entries' in answer ? withCount(store, room, { held, answer }) : answer;
}

/** Who was not told of all that happened was not told of quiet joins and leaves. */
async function withCount(store: Store, room: LocalRoom, { held, answer }: { held: Held; answer: Missed }): Promise<Resumed> {
  if (answer.seq - held.seq === answer.entries.length) return answer;
  const { asOf, members } = await countMembers(store, held.roomId);
  return { ...answer, counted: { asOf, members, online: room.signals.online } };
}

/** After the reading: what was read may be from after his removal, which this node has perhaps not heard of yet. */
async function mustStillBeMember({ store }: Services, peer: Peer, { roomId, username }: Held): Promise<void> {
  const facts = await store.read(roomId, { keys: [memberKey(username)] });
  speaker(facts, username, connectionOf(peer).identity);
}

/** Why somebody who was a member when they asked is none any more: it happened since, so their tickets are read anew. */
async function refusalFor({ store, limits }: Services, peer: Peer, held: Held, error: unknown): Promise<unknown> {
  if (!(error instanceof ChatError && error.code === 'not_a_member')) return error;
  const tickets = new Tickets(store, connectionOf(peer).identity.author, limits.roomsPerConnection);
  return tickets.of(held).then(
    (ticket) => (ticket?.removed ? new ChatError('removed') : error),
    (failure: unknown) => failure,
  );
}
