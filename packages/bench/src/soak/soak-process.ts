// A chat server that reports its memory and handles. Ends with its parent.
import { subscribe } from 'node:diagnostics_channel';
import { IncomingMessage } from 'node:http';
import { Socket as NetSocket } from 'node:net';
import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createServer, openStore } from '@engawa/server';
import { pino } from 'pino';
import { Socket } from 'socket.io';
import { WebSocket } from 'ws';
import { handleCommands } from '../processes/worker-rpc.ts';
import type { Sample } from './leak-check.ts';
import type { SoakCommand } from './soak.ts';

/** Intervals of seconds instead of minutes. */
const FAST_TIMERS = { graceMs: 300, absenceMs: 0, trimIntervalMs: 2_000, pingInterval: 1_000 };
/** Bounds the log of a room, so that it is trimmed. */
const MAX_COUNT = 2_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const sockets = new Set<NetSocket>();

async function start(folder: string): Promise<number> {
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: NetSocket };
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const log = pino({ level: 'error', base: null }, pino.destination(2));
  const { store } = await openStore(folder, { onError: (error) => log.error({ err: error }, 'the store reported an error') });
  const settings = {
    port: 0,
    host: '127.0.0.1',
    allowedOrigins: ['*'],
    rateLimits: 'off' as const,
    trustedProxies: 0,
    retentionMaxCount: MAX_COUNT,
  };
  return createServer({ store, settings, log, ...FAST_TIMERS }).listen();
}

function sample(): Omit<Sample, 'at' | 'visits'> {
  const live = {
    members: countOf(Socket),
    webSockets: countOf(WebSocket),
    sockets: countOf(NetSocket),
    requests: countOf(IncomingMessage),
  };
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    heap: heapUsed,
    external,
    resident: rss,
    resources: counted(process.getActiveResourcesInfo()),
    live,
    listeners: Math.max(0, ...[...sockets].map(listenersOf)),
  };
}

/** Collects garbage first. */
const countOf = (kind: unknown): number => queryObjects(kind as never) as number;

const listenersOf = (socket: NetSocket): number => socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0);

function counted(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

handleCommands<SoakCommand>(async (command) => {
  switch (command.do) {
    case 'start':
      return start(command.folder);
    case 'count':
      return countOf(Socket);
    case 'sample':
      return sample();
  }
});
