import type { Payload } from '@engawa/protocol';
import { commit } from '../chat/commit.ts';
import type { TicketValue } from '../chat/keys.ts';
import { addMember } from '../chat/members.ts';
import { nameKeys, nameRefusal } from '../chat/names.ts';
import { type Headroom, mustFit, UPKEEP } from '../chat/quotas.ts';
import { memberNamed } from '../chat/rule.ts';
import type { Store, Ticket } from '../store/store.ts';
import type { Connection } from './connection.ts';
import { connectionOf } from './local-room.ts';
import { callerFor, type Services } from './services.ts';
import type { Peer } from './wire.ts';

const OFFSET = /^\d{1,16}$/;

/** Where somebody comes back to, and what he has of it. */
interface Place {
  roomId: string;
  username: string;
  /** The newest entry that he was told. */
  seq: number;
  /** This entry is the one whose tick he shows. */
  isShown: boolean;
  /** He is a member no more, and to become one again. */
  hasLapsed: boolean;
}

/** Everything that a stock client comes back to: all of its places, each whole, or it does not come back. */
export interface Return {
  places: Place[];
}

/** Who comes back, and what they show for it. */
interface Returning {
  connection: Connection;
  /** What stock clients call `offset`: it came with the last entry that they were told, and is the tick of that entry. */
  offset: string;
  isGone: () => boolean;
}

/**
 * What a stock client comes back to. Each of its rooms costs a search in the log: so they count like rooms that are resumed,
 * are searched in slices, and the search ends with the first that it cannot come back to. Who calls this has passed the
 * turnstile.
 */
export async function findReturn(
  { store, limits, turnstile, quotas }: Pick<Services, 'store' | 'limits' | 'turnstile' | 'quotas'>,
  { connection, offset, isGone }: Returning,
): Promise<Return | undefined> {
  if (!OFFSET.test(offset)) return undefined;
  const { author } = connection.identity;
  const tickets = await store.tickets(author, limits.roomsPerConnection + 1);
  if (tickets.length === 0 || tickets.length > limits.roomsPerConnection) return undefined;
  connection.mayResume(tickets.length);
  const seeking = { author, tick: Number(offset), headroom: quotas.headroom(connection) };
  const find = async (ticket: Ticket) => (isGone() ? undefined : findPlace(store, ticket, seeking));
  const places = await turnstile.each(tickets, find, (place) => place === undefined);
  if (!isWhole(places)) return undefined;
  connection.mayReturn(places);
  for (const { roomId, hasLapsed } of places) if (hasLapsed) connection.address?.budgets.mayRejoin(roomId);
  // A tick that no entry has is of a log that lost its end: what they were told there is to be unsaid, and so they join anew.
  return places.some(({ isShown }) => isShown) ? { places } : undefined;
}

const isWhole = (places: (Place | undefined)[]): places is Place[] => places.every((place) => place !== undefined);

interface Seeking {
  author: string;
  tick: number;
  headroom: Headroom;
}

/**
 * Undefined when the client would miss something, or may not come back: the member was removed, or the name is another's by
 * now, or looks like one. Throws what a join anew would be refused with, which the client is then told when it asks for it:
 * one that was recovered first would be disconnected, and recovered, again and again.
 */
async function findPlace(store: Store, ticket: Ticket, { author, tick, headroom }: Seeking): Promise<Place | undefined> {
  const { room: roomId, epoch } = ticket;
  const { username, removed } = ticket.value as unknown as TicketValue;
  const facts = await store.read(roomId, { keys: nameKeys(username) });
  if (removed || facts.epoch !== epoch || nameRefusal(facts, { username, author })) return undefined;
  const hasLapsed = memberNamed(facts, username)?.author !== author;
  if (hasLapsed) mustFit(facts, headroom, UPKEEP);
  const found = await newestUpTo(store, roomId, tick);
  return found && { roomId, username, hasLapsed, ...found };
}

/**
 * The entry of that tick, or, when it is one of another room, the newest that was surely told before it; undefined when
 * that was trimmed, also meanwhile, and more with it perhaps.
 */
async function newestUpTo(store: Store, roomId: string, tick: number): Promise<Pick<Place, 'seq' | 'isShown'> | undefined> {
  const { head, tick: newest, oldest } = await store.page(roomId, { limit: 1 });
  const tickAt = async (seq: number) => (await store.read(roomId, { seqs: [seq] })).entries.get(seq)?.tick;
  const search = async (upTo: number): Promise<number | undefined> => {
    if (newest <= upTo) return head;
    let [below, above] = [oldest - 1, head];
    while (above - below > 1) {
      const middle = Math.floor((below + above) / 2);
      const found = await tickAt(middle);
      if (found === undefined) return undefined;
      if (found > upTo) above = middle;
      else below = middle;
    }
    return below < oldest && oldest > 1 ? undefined : below;
  };
  const seq = await search(tick);
  const isShown = seq !== undefined && (seq === head ? newest : await tickAt(seq)) === tick;
  if (isShown) return { seq, isShown };
  const sure = store.tickSkew === 0 ? seq : await search(tick - store.tickSkew);
  return sure === undefined ? undefined : { seq: sure, isShown };
}

/** Seats him everywhere again; what he missed is told before anything new. */
export async function comeBack(services: Services, peer: Peer, { places }: Return): Promise<void> {
  await services.leases.awake();
  const catchUp = services.fanOut.catchUp(peer);
  const told = new Set<string>();
  for (const [index, place] of places.entries()) {
    if (index > 0) await services.turnstile.pass();
    if (!peer.connected) return;
    await rejoin(services, connectionOf(peer), place);
    // Under his other names there he need only be seated.
    if (told.has(place.roomId)) await services.fanOut.comeBack(peer, place);
    else await services.fanOut.comeBackAfter(peer, place);
    told.add(place.roomId);
  }
  void catchUp.tell();
}

/** A guest whose name lapsed while he was away joins anew; for who is still a member nothing changes. */
export async function rejoin(services: Services, connection: Connection, { roomId, username }: Payload<'add:member'>): Promise<void> {
  const { store } = services;
  const command = { roomId, username };
  const { outcome } = await commit({ store, rule: addMember, command, caller: callerFor(services, connection, undefined) });
  if (outcome === 'appended') connection.kept(command);
}
