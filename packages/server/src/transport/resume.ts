import { ChatError, type Payload, type Reply, type Resumed } from '@engawa/protocol';
import { AnswerBudget, jsonBytes } from '../chat/budget.ts';
import { memberKey } from '../chat/keys.ts';
import { countMembers, type TicketValue } from '../chat/members.ts';
import { deferred, type Held, hasPlace, pageFor, resumed } from '../chat/resume.ts';
import { speaker } from '../chat/rule.ts';
import type { Store } from '../store/store.ts';
import { connectionOf, type LocalRoom } from './local-room.ts';
import { rejoin } from './recovery.ts';
import type { Services } from './services.ts';
import type { Peer } from './wire.ts';
import { toWireError } from './wire-error.ts';

/**
 * Everything that a client missed in its rooms, as far as there is place for it in one answer: it is seated first, then the
 * log is read, so nothing falls between. The first room is told at least something, whatever it has.
 */
export async function resumeRooms(
  services: Services,
  peer: Peer,
  { rooms, limit }: Payload<'resume:rooms'>,
): Promise<Reply<'resume:rooms'>> {
  await services.turnstile.pass();
  await services.leases.awake();
  const seated = await Promise.allSettled(rooms.map((held) => seat(services, peer, held)));
  const budget = new AnswerBudget();
  for (const held of rooms) budget.take(jsonBytes(deferred(held)));
  const answers: Resumed[] = [];
  for (const [index, held] of rooms.entries()) {
    const seat = seated[index] as PromiseSettledResult<LocalRoom>;
    const mayRead = index === 0 || hasPlace(budget) || seat.status === 'rejected';
    answers.push(mayRead ? await resumeRoom(services, peer, { held, seat, limit, budget }) : deferred(held));
  }
  return { rooms: answers };
}

/** A guest whose name lapsed while he was away joins anew. */
async function seat(services: Services, peer: Peer, held: Held): Promise<LocalRoom> {
  const connection = connectionOf(peer);
  connection.maySit(held.roomId);
  try {
    return await services.fanOut.comeBack(peer, held);
  } catch (error) {
    const ticket = isNoMember(error) ? await ticketFor(services, peer, held) : undefined;
    if (!ticket || ticket.removed) throw error;
    await rejoin(services, connection, held);
    return services.fanOut.comeBack(peer, held);
  }
}

interface Resume {
  held: Held;
  seat: PromiseSettledResult<LocalRoom>;
  /** Entries at most. */
  limit: number;
  budget: AnswerBudget;
}

async function resumeRoom(services: Services, peer: Peer, resume: Resume): Promise<Resumed> {
  const { held, seat: seated } = resume;
  try {
    if (seated.status === 'rejected') throw seated.reason;
    const answer = await readOn(services, seated.value, resume);
    await mustStillBeMember(services, peer, held);
    return answer;
  } catch (error) {
    const refusal = await refusalFor(services, peer, held, error).catch((failure: unknown) => failure);
    return { outcome: 'refused', roomId: held.roomId, error: toWireError(refusal, 'resume:rooms', services.log) };
  }
}

type Missed = Extract<Resumed, { entries: unknown }>;

async function readOn({ store }: Services, room: LocalRoom, { held, limit, budget }: Resume): Promise<Resumed> {
  const from = { ...held, seq: await room.pastQuiet(held) };
  const page = await room.page(pageFor(from, limit, budget));
  const answer = await resumed({ store, held: from, page, online: room.signals.online, budget });
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

/** Who was removed is told so: he is not to come back by himself. */
async function refusalFor(services: Services, peer: Peer, held: Held, error: unknown): Promise<unknown> {
  return isNoMember(error) && (await ticketFor(services, peer, held))?.removed ? new ChatError('removed') : error;
}

const isNoMember = (error: unknown): boolean => error instanceof ChatError && error.code === 'not_a_member';

async function ticketFor({ store, limits }: Services, peer: Peer, { roomId, username }: Held): Promise<TicketValue | undefined> {
  const tickets = await store.tickets(connectionOf(peer).identity.author, limits.roomsPerConnection);
  return tickets.find(({ room, key }) => room === roomId && key === memberKey(username))?.value as TicketValue | undefined;
}
