/** The request log of the consistency checks: which chat of a packet each answer acknowledges. */
import { RequestLog } from '@engawa/testkit/checkers/request-log';
import { expect, test } from 'vitest';

const ROOM = 'veranda';
const at = 0;
const [first, second] = [
  { seq: 5, id: 'id 5', at },
  { seq: 6, id: 'id 6', at },
];

/** Sends these chats in the packet of the chat `aya-1`. Returns the acknowledged seq of each. */
async function sendPacket(clientIds: string[], chats: { seq: number; id: string; at: number }[]): Promise<(number | undefined)[]> {
  const log = new RequestLog([ROOM]);
  const answer = { ok: true, roomId: ROOM, epoch: 'e', ...chats.at(-1), chats };
  const createTransport = log.forClient('aya').wrapTransport(() => ({
    open: () => undefined,
    close: () => undefined,
    request: async () => answer,
  }));
  const listeners = { onConnect() {}, onDisconnect() {}, onRejected() {}, onConnectError() {}, onEvent() {} };
  const request = {
    roomId: ROOM,
    username: 'aya',
    clientId: 'aya-1',
    chats: clientIds.map((clientId) => ({ clientId, message: 'hello' })),
  };
  await createTransport('test:', listeners).request('create:chats', request, 1_000);
  return log.rooms.get(ROOM)?.sent.map(({ acks }) => acks[0]?.seq) ?? [];
}

test('a complete packet is acknowledged chat by chat', async () => {
  expect(await sendPacket(['aya-1', 'aya-2'], [first, second])).toEqual([5, 6]);
});

test.each([[['aya-2']], [['aya-2', 'aya-3']]])(
  'the first chat of a packet was stored alone: the answer acknowledges none of the rest, %j',
  async (clientIds) => {
    expect(await sendPacket(clientIds, [first])).toEqual(clientIds.map(() => undefined));
  },
);
