import type { Answer, Ask, EventName, WireError } from '@engawa/protocol';
import { createServer, type ServerOptions, type Store } from '@engawa/server';
import { pino } from 'pino';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { onTestFinished } from 'vitest';
import { newStore } from './stores.ts';
import { within } from './waiting.ts';

export { newFolder } from './folders.ts';
export { STARTED_WITHIN_MS, until, within } from './waiting.ts';

export interface Running {
  url: string;
  store: Store;
  /** Ends this server and leaves its store open. */
  stop: () => Promise<void>;
}

type Options = Partial<ServerOptions['settings']> &
  Partial<
    Pick<ServerOptions, 'store' | 'grace' | 'absence' | 'trimEvery' | 'usageEvery' | 'log' | 'pingInterval' | 'pingTimeout' | 'stuckAfter'>
  >;

/**
 * A real server on a free port, on a store of its own unless it is given one; both end with the test. A test that says how long the
 * grace is wants to see members leave after it.
 */
export async function startServer({
  store: given,
  log = pino({ level: 'silent' }),
  grace,
  absence = grace === undefined ? undefined : 0,
  trimEvery,
  usageEvery,
  pingInterval,
  pingTimeout,
  stuckAfter,
  ...settings
}: Options = {}): Promise<Running> {
  const store = given ?? (await newStore());
  const server = createServer({
    store,
    settings: { port: 0, host: '127.0.0.1', origins: ['*'], limits: 'on', trustedProxies: 0, ...settings },
    log,
    ...(grace !== undefined && { grace }),
    ...(absence !== undefined && { absence }),
    ...(trimEvery !== undefined && { trimEvery }),
    ...(usageEvery !== undefined && { usageEvery }),
    ...(pingInterval !== undefined && { pingInterval }),
    ...(pingTimeout !== undefined && { pingTimeout }),
    ...(stuckAfter !== undefined && { stuckAfter }),
  });
  const port = await server.listen();
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= server.close());
  onTestFinished(async () => {
    await stop();
    await store.close();
  });
  return { url: `http://127.0.0.1:${port}`, store, stop };
}

/** The store, with an operation that fails as a real one may. */
export const withFault = (store: Store, fault: Partial<Store>): Store =>
  new Proxy(store, {
    get(target, name: keyof Store) {
      const operation = fault[name] ?? target[name];
      return typeof operation === 'function' ? operation.bind(target) : operation;
    },
  });

/** A stock client, connected. */
export async function connect(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Promise<Socket> {
  const socket = newClient(url, options);
  await within(
    new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('connect_error', reject);
      // Who is refused for now is not told so.
      socket.once('disconnect', (reason) => reject(new Error(`It was not let in: ${reason}`)));
    }),
    'connect',
  );
  return socket;
}

/** A stock client that may yet be refused. */
export function newClient(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Socket {
  const socket = io(url, { forceNew: true, reconnection: false, transports: ['websocket'], ...options });
  onTestFinished(() => void socket.disconnect());
  return socket;
}

/** What the server answers; the acknowledgement, whole. */
export function ask<E extends EventName>(socket: Socket, event: E, payload: Ask<E>): Promise<Answer<E>> {
  return askAnything(socket, event, payload) as Promise<Answer<E>>;
}

export const askAnything = (socket: Socket, event: string, ...payload: unknown[]): Promise<unknown> =>
  within(socket.emitWithAck(event, ...payload) as Promise<unknown>, `answer to ${event}`);

/** The answer of an ask that must succeed. */
export async function done<E extends EventName>(socket: Socket, event: E, payload: Ask<E>): Promise<Extract<Answer<E>, { ok: true }>> {
  const answer = await ask(socket, event, payload);
  if (!answer.ok) throw new Error(`${event} was refused: ${answer.error.code}`);
  return answer;
}

/** The error of an ask that must be refused. */
export async function refused<E extends EventName>(socket: Socket, event: E, payload: Ask<E>): Promise<WireError> {
  const answer = await ask(socket, event, payload);
  if (answer.ok) throw new Error(`${event} was not refused`);
  return answer.error;
}

/** The next event of this name; ask for it before you do what makes it happen. */
export const heard = (socket: Socket, event: string): Promise<Record<string, unknown>> =>
  within(new Promise((resolve) => socket.once(event, resolve)), event);

/** Everything of this name that the socket hears from now on. */
export function hearing(socket: Socket, event: string): Record<string, unknown>[] {
  const all: Record<string, unknown>[] = [];
  socket.on(event, (payload: Record<string, unknown>) => all.push(payload));
  return all;
}
