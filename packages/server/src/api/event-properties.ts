/** Applies what the event table says of an event before its handler runs: the extra rate, the permission, and batches. */
import { ChatError, definitionOf, type EventName, type ExtraRate, type RequestPayload } from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import { memberKey } from '../domain/room-keys.ts';
import type { AppContext } from './context.ts';

interface MemberRef {
  roomId: string;
  username: string;
}

/** The chats of a `create:chat` or `create:chats`. An `update:chat` counts as one. */
const chatsOf = (request: object): { replyTo?: number }[] => (request as Partial<RequestPayload<'create:chats'>>).chats ?? [request];

/**
 * Requests of one connection with the same key may be executed together, if no other comes between: they depend on the same
 * membership, and reply to the same chats. Undefined if the event is executed alone.
 */
export function batchKeyOf(event: EventName, request: object): string | undefined {
  const definition = definitionOf(event);
  if (definition.kind !== 'command' || !definition.batch) return undefined;
  const { roomId, username } = request as MemberRef;
  const repliedSeqs = chatsOf(request).flatMap(({ replyTo }) => replyTo ?? []);
  // No id has a line break.
  return `${roomId}\n${username}\n${repliedSeqs.join()}`;
}

type TakeTokens = (context: AppContext, connection: Connection, request: MemberRef) => void;

const takeExtraTokens: Record<ExtraRate, TakeTokens> = {
  joins: (_, connection, request) => connection.takeJoinToken(request),
  /** The author's rate in the room: over all of their connections, whether these joined the room or not. */
  chats({ limits, chatBuckets }, { identity }, request) {
    const { length } = chatsOf(request);
    const maxChats = Math.floor(limits.rates?.chats?.burst ?? Infinity);
    // The bucket never holds so many tokens, so a retry would fail as well.
    if (length > maxChats) throw new ChatError('invalid_payload', { message: `chats: must have at most ${maxChats} items` });
    const refusal = chatBuckets?.takeOrError(`${identity.author}\n${request.roomId}`, length);
    if (refusal) throw refusal;
  },
};

/** The permissions of commands and queries depend on the store: the domain checks them, when it has read the room. */
export function checkBeforeHandling(event: EventName, context: AppContext, connection: Connection, request: object): void {
  const { kind, permission, extraRate } = definitionOf(event);
  const member = request as MemberRef;
  if (extraRate) takeExtraTokens[extraRate](context, connection, member);
  if (kind === 'ephemeral' && permission === 'member') requireAttached(connection, member);
}

function requireAttached({ memberships }: Connection, { roomId, username }: MemberRef): void {
  if (!memberships.get(roomId)?.usernames.has(memberKey(username))) throw new ChatError('not_a_member');
}
