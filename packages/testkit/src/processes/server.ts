/** A server in the process of the test, and plain Socket.IO clients of it. */
import type { Ack, ErrorPayload, EventName, RequestInput } from '@engawa/protocol';
import { createServer, type ServerOptions, type Store } from '@engawa/server';
import { pino } from 'pino';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { onTestFinished } from 'vitest';
import { newStore } from '../stores.ts';
import { withTimeout } from '../wait-for.ts';

export { createTempFolder } from '../folders.ts';
export { STARTED_WITHIN_MS, until, withTimeout } from '../wait-for.ts';

export interface RunningServer {
  url: string;
  store: Store;
  /** Closes this server and leaves its store open. */
  stop: () => Promise<void>;
}

type Options = Partial<ServerOptions['settings']> &
  Partial<
    Pick<
      ServerOptions,
      'store' | 'graceMs' | 'absenceMs' | 'trimIntervalMs' | 'usageRefreshMs' | 'log' | 'pingInterval' | 'pingTimeout' | 'stallTimeoutMs'
    >
  >;

/**
 * A real server on a free port, on a store of its own unless it is given one; both end with the test. A test that says how long the
 * grace is wants to see members leave after it.
 */
export async function startServer({
  store: existingStore,
  log = pino({ level: 'silent' }),
  graceMs,
  absenceMs = graceMs === undefined ? undefined : 0,
  trimIntervalMs,
  usageRefreshMs,
  pingInterval,
  pingTimeout,
  stallTimeoutMs,
  ...settings
}: Options = {}): Promise<RunningServer> {
  const store = existingStore ?? (await newStore());
  const server = createServer({
    store,
    settings: { port: 0, host: '127.0.0.1', allowedOrigins: ['*'], rateLimits: 'on', trustedProxies: 0, ...settings },
    log,
    ...(graceMs !== undefined && { graceMs }),
    ...(absenceMs !== undefined && { absenceMs }),
    ...(trimIntervalMs !== undefined && { trimIntervalMs }),
    ...(usageRefreshMs !== undefined && { usageRefreshMs }),
    ...(pingInterval !== undefined && { pingInterval }),
    ...(pingTimeout !== undefined && { pingTimeout }),
    ...(stallTimeoutMs !== undefined && { stallTimeoutMs }),
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

/** The store, with an operation that fails like a real one. */
export const withOverrides = (store: Store, overrides: Partial<Store>): Store =>
  new Proxy(store, {
    get(target, name: keyof Store) {
      const operation = overrides[name] ?? target[name];
      return typeof operation === 'function' ? operation.bind(target) : operation;
    },
  });

/** A plain Socket.IO client, connected. */
export async function connect(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Promise<Socket> {
  const socket = newClient(url, options);
  await withTimeout(
    new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('connect_error', reject);
      // A client that is refused with a retryable error receives no event.
      socket.once('disconnect', (reason) => reject(new Error(`It was not let in: ${reason}`)));
    }),
    'connect',
  );
  return socket;
}

/** A plain Socket.IO client that may still be refused. */
export function newClient(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Socket {
  const socket = io(url, { forceNew: true, reconnection: false, transports: ['websocket'], ...options });
  onTestFinished(() => void socket.disconnect());
  return socket;
}

/** The answer of the server: the whole acknowledgement. */
export function sendRequest<E extends EventName>(socket: Socket, event: E, payload: RequestInput<E>): Promise<Ack<E>> {
  return sendAny(socket, event, payload) as Promise<Ack<E>>;
}

export const sendAny = (socket: Socket, event: string, ...payload: unknown[]): Promise<unknown> =>
  withTimeout(socket.emitWithAck(event, ...payload) as Promise<unknown>, `answer to ${event}`);

/** The answer to a request that must succeed. */
export async function requestOk<E extends EventName>(
  socket: Socket,
  event: E,
  payload: RequestInput<E>,
): Promise<Extract<Ack<E>, { ok: true }>> {
  const answer = await sendRequest(socket, event, payload);
  if (!answer.ok) throw new Error(`${event} was refused: ${answer.error.code}`);
  return answer;
}

/** The error of a request that must be refused. */
export async function requestError<E extends EventName>(socket: Socket, event: E, payload: RequestInput<E>): Promise<ErrorPayload> {
  const answer = await sendRequest(socket, event, payload);
  if (answer.ok) throw new Error(`${event} was not refused`);
  return answer.error;
}

/** The next event of this name; call it before the action that causes the event. */
export const nextEvent = (socket: Socket, event: string): Promise<Record<string, unknown>> =>
  withTimeout(new Promise((resolve) => socket.once(event, resolve)), event);

/** Collects all events of this name that the socket receives from now on. */
export function collectEvents(socket: Socket, event: string): Record<string, unknown>[] {
  const all: Record<string, unknown>[] = [];
  socket.on(event, (payload: Record<string, unknown>) => all.push(payload));
  return all;
}
