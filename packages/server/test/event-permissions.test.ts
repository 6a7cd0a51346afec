/** Every event permits exactly the callers that the event table says. */
import { type EventName, events, LIMITS } from '@engawa/protocol';
import { ChatNode, openMemory } from '@engawa/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RecordingTransport } from './helpers/peers.ts';

const roomId = 'veranda';
const callers = ['outsider', 'removed', 'member', 'author', 'owner'] as const;
type CallerName = (typeof callers)[number];
type Permission = (typeof events)[EventName]['permission'];

const permitted: Record<Permission, readonly CallerName[]> = {
  anyone: callers,
  reader: ['outsider', 'member', 'author', 'owner'],
  member: ['member', 'author', 'owner'],
  author: ['author', 'owner'],
  self: ['author', 'owner'],
  owner: ['owner'],
};

const refusals: unknown[] = ['not_a_member', 'not_allowed', 'removed'];

/** A room with a chat by `author`, from which the owner removed `removed`. */
async function startRoom() {
  const node = new ChatNode({ store: openMemory(), limits: { ...LIMITS, rates: null } });
  onTestFinished(() => node.close());
  const connect = async () => {
    const connection = await node.admit(new RecordingTransport().newPeer(), { auth: {} });
    node.addConnection(connection);
    return async (event: string, payload: object) => {
      const answer = await node.dispatch({ connection, event, payload });
      answer?.deliver(() => undefined);
      return answer?.ack;
    };
  };
  const clients = await Promise.all(callers.map(async (name) => [name, await connect()] as const));
  const requestAs = Object.fromEntries(clients) as Record<CallerName, (typeof clients)[number][1]>;
  await requestAs.owner('create:room', { roomId, username: 'owner' });
  for (const name of ['removed', 'member', 'author'] as const) await requestAs[name]('add:member', { roomId, username: name });
  const chat = await requestAs.author('create:chat', { roomId, username: 'author', message: 'hello' });
  await requestAs.owner('remove:member', { roomId, username: 'removed' });
  return { requestAs, chatSeq: (chat as { seq: number }).seq };
}

/** An outsider acts under the name of a member. */
function payloadOf(event: EventName, caller: CallerName, chatSeq: number): object {
  const username = caller === 'outsider' ? 'member' : caller;
  const member = { roomId, username };
  switch (event) {
    case 'create:room':
      return { roomId: 'another', username };
    case 'add:member':
      return { roomId, username: `new ${caller}` };
    case 'remove:member':
      return { roomId, username: 'author' };
    case 'create:chat':
      return { ...member, message: 'a' };
    case 'create:chats':
      return { ...member, chats: [{ message: 'a' }] };
    case 'update:chat':
      return { ...member, chatSeq, message: 'b' };
    case 'delete:chat':
      return { ...member, chatSeq };
    case 'add:reaction':
    case 'remove:reaction':
      return { ...member, chatSeq, reaction: '👍' };
    case 'update:room':
      return { ...member, topic: 'tea' };
    case 'update:presence':
      return { ...member, presence: 'away' };
    case 'mark:read':
      return { ...member, seq: chatSeq };
    case 'list:entries':
      return { roomId, epoch: '', seq: 0 };
    case 'resume:rooms':
      return { rooms: [{ ...member, epoch: '', seq: 0 }] };
    case 'list:rooms':
      return {};
    case 'list:members':
    case 'list:chats':
      return { roomId };
    case 'delete:room':
    case 'start:typing':
    case 'stop:typing':
      return member;
  }
}

describe.each(Object.keys(events) as EventName[])('%s', (event) => {
  const { permission } = events[event];
  test.each(callers)(`for ${permission}: %s`, async (caller) => {
    const { requestAs, chatSeq } = await startRoom();
    const ack = await requestAs[caller](event, payloadOf(event, caller, chatSeq));
    if (permitted[permission].includes(caller)) expect(ack).toMatchObject({ ok: true });
    else expect(refusals).toContain(ack?.ok === false && ack.error.code);
  });
});
