/** Two members on the same server that chat before and after an attack, which must not affect them. */

import { collectEvents, connect, type RunningServer, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { Server } from 'socket.io';
import type { Socket } from 'socket.io-client';
import { expect, onTestFinished, vi } from 'vitest';

export const ROOM = 'veranda';

/** Network addresses, for a server that trusts one proxy. */
export const forwardedFor = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });
const HOME_ADDRESS = forwardedFor('192.0.2.1');
export const ATTACKER_HEADERS = forwardedFor('203.0.113.7');

export interface BystanderScenario extends RunningServer {
  /** The Socket.IO server of the node. */
  io: Server;
  /** The owner of the room. */
  aya: Socket;
  ben: Socket;
  /** The members chat again, on the same connections, and the process had no uncaught error. */
  expectUnharmed: () => Promise<void>;
}

/** A server on which two members have chatted. */
export async function startWithBystanders(options: Parameters<typeof startServer>[0] = {}): Promise<BystanderScenario> {
  const faults = recordProcessErrors();
  const useSpy = vi.spyOn(Server.prototype, 'use');
  const running = await startServer({ trustedProxies: 1, ...options });
  const io = useSpy.mock.contexts[0] as Server;
  useSpy.mockRestore();

  const [aya, ben] = [
    await connect(running.url, { extraHeaders: HOME_ADDRESS }),
    await connect(running.url, { extraHeaders: HOME_ADDRESS }),
  ];
  await requestOk(aya, 'create:room', { roomId: ROOM, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId: ROOM, username: 'ben' });
  const sockets = [aya.id, ben.id];
  const drops: string[] = [];
  for (const socket of [aya, ben]) socket.on('disconnect', (reason) => drops.push(reason));

  await exchangeChats(aya, ben);
  const expectUnharmed = async () => {
    await exchangeChats(aya, ben);
    expect(drops).toEqual([]);
    expect([aya.id, ben.id]).toEqual(sockets);
    expect(faults).toEqual([]);
  };
  return { ...running, io, aya, ben, expectUnharmed };
}

async function exchangeChats(aya: Socket, ben: Socket): Promise<void> {
  await sendAndExpect(aya, 'aya', ben);
  await sendAndExpect(ben, 'ben', aya);
}

async function sendAndExpect(speaker: Socket, username: string, listener: Socket): Promise<void> {
  const message = `${username} says ${Math.random()}`;
  const chats = collectEvents(listener, 'create:chat:success');
  await requestOk(speaker, 'create:chat', { roomId: ROOM, username, message });
  const delivered = () => chats.find((chat) => chat.message === message);
  await until(() => delivered() !== undefined, `${username} is received`);
  expect(delivered()).toMatchObject({ roomId: ROOM, username });
}

/** Errors that would have ended the process. */
function recordProcessErrors(): unknown[] {
  const faults: unknown[] = [];
  const note = (fault: unknown) => void faults.push(fault);
  process.on('uncaughtException', note).on('unhandledRejection', note);
  onTestFinished(() => void process.off('uncaughtException', note).off('unhandledRejection', note));
  return faults;
}

/** Resources that grow with clients: after their disconnection the numbers are as before. */
export const countResources = ({ io }: BystanderScenario) => ({
  connections: io.engine.clientsCount,
  sockets: io.sockets.sockets.size,
  channels: io.sockets.adapter.rooms.size,
  namespaces: io._nsps.size,
});
