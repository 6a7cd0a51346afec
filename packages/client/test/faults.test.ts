/** Random sequences of faults between a client and the scripted server. */
import type { Client } from '@engawa/client';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { advanceTime, joinRoom, memoryStorage, newClient, useFakeTime } from './helpers/clients.ts';
import { ROOM } from './helpers/log.ts';
import { ScriptedServer } from './helpers/scripted-server.ts';

beforeEach(useFakeTime);

let client: Client | undefined;
afterEach(() => client?.close());

const step = fc.oneof(
  fc.record({ do: fc.constant('send' as const) }),
  fc.record({ do: fc.constantFrom('chat', 'edit', 'react', 'lose', 'drop', 'open', 'reload', 'expire', 'sync') }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.nat(3_000) }),
  fc.record({
    do: fc.constant('fault' as const),
    fault: fc.constantFrom('lost', 'never', 'busy'),
    event: fc.constantFrom('create:chat', 'resume:rooms', 'add:member', 'list:chats'),
  }),
);

type Step = { do: string; ms?: number; fault?: string; event?: string };

test('under random faults every chat is stored once and in order, every entry is delivered once and in order, and timelines equal a fresh load', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const hall = new ScriptedServer();
      hall.resumePageSize = 3;
      const storage = memoryStorage();
      const said: string[] = [];
      const received: number[] = [];
      client = newClient(hall, { storage });
      let { room } = await joinRoom(client);
      const first = room.position.seq;
      const listen = () => room.on('entry', ({ seq }) => received.push(seq));
      listen();
      for (const each of steps) await take(each);
      hall.open();
      await advanceTime(200_000);
      // Entries that were not broadcast are detected by the next one.
      hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'the last' });
      await advanceTime(200_000);
      expect(room.state).toBe('live');
      const chats = hall.log?.chats('aya') ?? [];
      expect(chats.filter(({ username }) => username === 'aya').map(({ message }) => message)).toEqual(said);
      expect(room.timeline.chats).toEqual(chats.slice(-room.timeline.chats.length));
      expect([...new Set(received)]).toEqual(hall.log?.broadcastAfter(first).map(({ seq }) => seq));
      void client.close();

      async function take({ do: what, ms, fault, event }: Step): Promise<void> {
        if (what === 'pass') await advanceTime(ms);
        if (what === 'send') room.send(said[said.push(`own ${said.length}`) - 1] ?? '');
        if (what === 'chat') hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'by ben' });
        if (what === 'lose') hall.log?.add({ kind: 'create:chat', by: 'ben', message: 'lose' });
        if (what === 'edit' || what === 'react') change(what);
        if (what === 'drop') hall.drop();
        if (what === 'open') hall.open();
        if (what === 'expire') hall.members.delete('aya');
        if (what === 'sync') client?.sync();
        if (what === 'fault')
          hall.failNext(event as 'create:chat', fault === 'busy' ? { code: 'busy', retryable: true } : (fault as 'lost'));
        if (what === 'reload') await reload();
      }

      function change(what: 'edit' | 'react'): void {
        const chat = hall.log?.chats('ben').find(({ username }) => username === 'ben');
        if (!chat) return;
        if (what === 'edit') hall.addEntry({ kind: 'update:chat', by: 'ben', chatSeq: chat.seq, message: `edit ${hall.log?.head}` });
        else if (!chat.reactions) hall.addEntry({ kind: 'add:reaction', by: 'ben', chatSeq: chat.seq, reaction: '👍' });
      }

      /** The last entry may be delivered again afterwards: the position is stored a little later. */
      async function reload(): Promise<void> {
        void client?.close();
        hall.open();
        client = newClient(hall, { storage });
        const before = room;
        void client.join(ROOM, { username: 'aya' }).then((again) => {
          room = again;
          listen();
        });
        while (room === before) await advanceTime(10_000);
      }
    }),
    { numRuns: 150, seed },
  );
});
