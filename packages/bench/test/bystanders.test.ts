// The two members that chat during an attack: the faults that they find in their log.
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BYSTANDER_NAMES, BYSTANDER_ROOM, Bystanders } from '#chaos/bystanders.js';
import { withServerUnderTest } from '#chaos/server-under-test.js';
import { SocketIoClient } from '#generator/socketio-client.js';
import { withTempFolder } from '#processes/child-processes.js';

test('a log of many pages contains all chats of the bystanders, and a missing chat is detected', { timeout: 60_000 }, () =>
  withTempFolder(tmpdir(), (folder) =>
    withServerUnderTest({ folder }, async ({ target }) => {
      const bystanders = await Bystanders.join(target);
      bystanders.start();
      bystanders.beginMeasurement();
      await sleep(4_000);
      const { chats, faults } = await bystanders.endMeasurement();
      expect(faults).toEqual([]);
      expect(chats).toBeGreaterThan(4);
      expect(await bystanders.checkLog({ pageSize: 2 })).toEqual([]);

      const owner = await SocketIoClient.connect(target, { auth: { session: bystanders.ownerSession } });
      const username = BYSTANDER_NAMES[0];
      expect(await owner.ask('delete:chat', { roomId: BYSTANDER_ROOM, username, chatSeq: 5 })).toMatchObject({ ok: true });
      expect(await bystanders.checkLog({ pageSize: 2 })).toContain('their log lacks a chat that was acknowledged');
      owner.end();
      bystanders.leave();
    }),
  ),
);
