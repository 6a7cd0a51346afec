// Tests of system notes and reply quotes in a room of a server.
import { ReplyQuotes, SystemNotes } from '@engawa/chat-view';
import { connect, type Room } from '@engawa/client';
import { startTestServer } from '@engawa/client/testing';
import { until } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';

const server = () => {
  const started = startTestServer();
  onTestFinished(() => started.close());
  return started;
};

async function join({ createTransport }: ReturnType<typeof server>, username: string): Promise<Room> {
  const client = connect('http://test', { createTransport });
  onTestFinished(() => client.close());
  return client.join('veranda', { username, create: true });
}

test('joins and leaves of others and topics are notes, own joins and leaves are not', async () => {
  const started = server();
  const aya = await join(started, 'aya');
  const notes = new SystemNotes();
  const kinds = () => notes.between(0, Number.POSITIVE_INFINITY).map(({ kind, username, topic }) => [kind, username, topic]);
  aya.on('entry', (entry) => notes.addEntry(entry, 'aya'));
  const ben = await join(started, 'ben');
  await aya.setTopic('tea');
  await ben.leave();
  await until(() => kinds().length === 3, 'three notes');
  expect(kinds()).toEqual([
    ['joined', 'ben', undefined],
    ['topic', 'aya', 'tea'],
    ['left', 'ben', undefined],
  ]);
  notes.reset();
  expect(kinds()).toEqual([]);
});

test('a quote that is not in the history is loaded once, and again after a change', async () => {
  const room = await join(server(), 'aya');
  const { settled } = room.send('hello');
  await settled;
  const [chat] = room.timeline.chats;
  const seq = chat?.seq ?? 0;
  let changes = 0;
  const quotes = new ReplyQuotes(room, () => (changes += 1));
  const empty = { chats: [] };
  quotes.load(seq, empty);
  quotes.load(seq, empty);
  await until(() => changes > 0, 'the quote is loaded');
  expect(quotes.find(seq, empty)?.message).toBe('hello');
  await room.edit(seq, 'hello again');
  quotes.invalidate(seq);
  expect(quotes.find(seq, empty)).toBeUndefined();
  quotes.load(seq, empty);
  await until(() => changes > 1, 'the quote is loaded again');
  expect(quotes.find(seq, empty)?.message).toBe('hello again');
  expect(changes).toBe(2);
});
