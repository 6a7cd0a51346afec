import {
  ChatError,
  type ErrorCode,
  type EventName,
  events,
  isEventName,
  type Limits,
  type Payload,
  type WireError,
} from '@engawa/protocol';
import type { Logger } from 'pino';
import type { Socket } from 'socket.io';
import { StoreError } from '../store/store.ts';
import { connectionOf } from './fan-out.ts';
import { handlers, type Services } from './handlers.ts';
import { isDeeperThan } from './json-depth.ts';
import { endIfUnread } from './unread.ts';

/** Characters of an event's name that a refusal repeats: any name may be asked for. */
const ECHOED = 64;

type Acknowledge = (answer: object) => void;

/** One packet that wants an answer. */
interface Asked {
  services: Services;
  socket: Socket;
  event: string;
  acknowledge: Acknowledge | undefined;
}

/** From here on, what the socket sends is answered: by its acknowledgement, or by an `error` event. */
export function bindEvents(services: Services, socket: Socket): void {
  socket.onAny((event: unknown, ...args: unknown[]) => receive(services, socket, typeof event === 'string' ? event : '', args));
}

function receive(services: Services, socket: Socket, event: string, args: unknown[]): void {
  const last = args.at(-1);
  const asked = { services, socket, event, acknowledge: typeof last === 'function' ? (last as Acknowledge) : undefined };
  try {
    const connection = connectionOf(socket);
    connection.mayAsk();
    if (!isEventName(event)) throw new ChatError('unknown_event');
    const ask = parse(event, args[0], services.limits);
    connection.inTurn(() => answer(asked, event, ask));
  } catch (error) {
    refuse(asked, error);
  }
}

function parse<E extends EventName>(event: E, payload: unknown, limits: Limits): Payload<E> {
  if (isDeeperThan(limits.jsonDepth, payload))
    throw new ChatError('invalid_payload', { message: `The payload is deeper than ${limits.jsonDepth} levels.` });
  const parsed = events[event].payload.safeParse(payload);
  if (parsed.success) return parsed.data as Payload<E>;
  const [issue] = parsed.error.issues;
  throw new ChatError('invalid_payload', { message: `${issue?.path.join('.') || 'The payload'}: ${issue?.message ?? 'is not valid'}` });
}

/** The one place where what goes wrong is caught; it never rejects. */
async function answer<E extends EventName>(asked: Asked, event: E, ask: Payload<E>): Promise<void> {
  const { services, socket, acknowledge } = asked;
  try {
    const reply = await handlers[event](services, socket, ask);
    if (acknowledge) acknowledge({ ok: true, ...reply });
    else if (event.startsWith('list:')) socket.emit(`${event}:success`, reply);
    endIfUnread(socket);
  } catch (error) {
    refuse(asked, error);
  }
}

function refuse({ services, socket, event, acknowledge }: Asked, error: unknown): void {
  const wire = toWireError(error, event, services.log);
  if (acknowledge) acknowledge({ ok: false, error: wire });
  else socket.emit('error', { ...wire, event: event.slice(0, ECHOED) });
  endIfUnread(socket);
}

const codeOfStoreError: Record<StoreError['reason'], ErrorCode> = {
  full: 'storage_full',
  failed: 'storage_failed',
  busy: 'busy',
  closed: 'busy',
};

/** What the client is told. What went wrong inside stays in the log. */
function toWireError(error: unknown, event: string, log: Logger): WireError {
  if (error instanceof ChatError) return error.toWire();
  log.error({ err: error, event }, 'a request failed');
  const code = error instanceof StoreError ? codeOfStoreError[error.reason] : 'internal';
  const definition = isEventName(event) ? (events[event] as { failure?: string }) : {};
  return new ChatError(code, definition.failure === undefined ? {} : { message: definition.failure }).toWire();
}
