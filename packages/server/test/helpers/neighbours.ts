/** Others on the same server, who talk before and after an attack and must notice nothing of it. */
import { Server } from 'socket.io';
import type { Socket } from 'socket.io-client';
import { expect, onTestFinished, vi } from 'vitest';
import { connect, done, hearing, type Running, startServer, until } from './server.ts';

export const ROOM = 'veranda';

/** Network addresses, for a server that believes one proxy. */
export const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });
const HOME = from('192.0.2.1');
export const ATTACKER = from('203.0.113.7');

export interface Scene extends Running {
  /** The Socket.IO server within. */
  io: Server;
  /** The owner of the room. */
  aya: Socket;
  ben: Socket;
  /** They talk again, on the connections that they had, and the process met no fault. */
  unharmed: () => Promise<void>;
}

/** A server on which two neighbours have talked. */
export async function startScene(options: Parameters<typeof startServer>[0] = {}): Promise<Scene> {
  const faults = watchFaults();
  const using = vi.spyOn(Server.prototype, 'use');
  const running = await startServer({ trustedProxies: 1, ...options });
  const io = using.mock.contexts[0] as Server;
  using.mockRestore();

  const [aya, ben] = [await connect(running.url, { extraHeaders: HOME }), await connect(running.url, { extraHeaders: HOME })];
  await done(aya, 'create:room', { roomId: ROOM, username: 'aya' });
  await done(ben, 'add:member', { roomId: ROOM, username: 'ben' });
  const sockets = [aya.id, ben.id];
  const drops: string[] = [];
  for (const socket of [aya, ben]) socket.on('disconnect', (reason) => drops.push(reason));

  await talk(aya, ben);
  const unharmed = async () => {
    await talk(aya, ben);
    expect(drops).toEqual([]);
    expect([aya.id, ben.id]).toEqual(sockets);
    expect(faults).toEqual([]);
  };
  return { ...running, io, aya, ben, unharmed };
}

async function talk(aya: Socket, ben: Socket): Promise<void> {
  await says(aya, 'aya', ben);
  await says(ben, 'ben', aya);
}

async function says(speaker: Socket, username: string, listener: Socket): Promise<void> {
  const message = `${username} says ${Math.random()}`;
  const chats = hearing(listener, 'create:chat:success');
  await done(speaker, 'create:chat', { roomId: ROOM, username, message });
  const told = () => chats.find((chat) => chat.message === message);
  await until(() => told() !== undefined, `${username} is heard`);
  expect(told()).toMatchObject({ roomId: ROOM, username });
}

/** What would have ended a process of its own. */
function watchFaults(): unknown[] {
  const faults: unknown[] = [];
  const note = (fault: unknown) => void faults.push(fault);
  process.on('uncaughtException', note).on('unhandledRejection', note);
  onTestFinished(() => void process.off('uncaughtException', note).off('unhandledRejection', note));
  return faults;
}

/** What grows with clients: when they are gone, it is as before. */
export const census = ({ io }: Scene) => ({
  connections: io.engine.clientsCount,
  sockets: io.sockets.sockets.size,
  channels: io.sockets.adapter.rooms.size,
  namespaces: io._nsps.size,
});
