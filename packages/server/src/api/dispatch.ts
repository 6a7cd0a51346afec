/** Dispatches one request of a connection to its handler, and sends the response or the error. */
import {
  ChatError,
  describeZodIssue,
  type ErrorCode,
  type EventName,
  events,
  isCommandName,
  isEventName,
  type Limits,
  type Position,
  type RequestPayload,
} from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import type { FactsCache } from '../domain/execute-command.ts';
import { MAX_RESPONSE_BYTES } from '../domain/response-budget.ts';
import type { MemoryReservation } from '../limits/response-memory.ts';
import type { AppContext } from './context.ts';
import { toErrorPayload } from './error-payload.ts';
import { batchKeyOf, handlers } from './handlers.ts';
import { exceedsJsonLimits } from './json-size.ts';

/** Characters of an event's name that a refusal repeats: any name may be asked for. */
const MAX_ECHOED_CHARS = 64;

/**
 * What may be unread by a client that is answered. A question waits until the answers before it were read; who reads slowly and
 * talks is heard all the same, until much more waits: their answers are small.
 */
const MAX_UNREAD_BYTES = { query: 256 * 1024, command: 1024 * 1024 };

/** Refusals by a limit: an operator must see them, who may have set it too low. */
const LIMIT_CODES = new Set<ErrorCode>(['rate_limited', 'too_many_rooms', 'too_many_names', 'quota_exceeded', 'busy']);

type Acknowledge = (answer: object) => void;

/** One packet that wants an answer. */
interface PendingRequest {
  context: AppContext;
  connection: Connection;
  event: string;
  acknowledge: Acknowledge | undefined;
}

/** One request of a connection: it is answered by its acknowledgement, or by an `error` event. */
export function dispatch(context: AppContext, connection: Connection, name: unknown, args: unknown[]): void {
  const event = typeof name === 'string' ? name : '';
  const last = args.at(-1);
  const pending = { context, connection, event, acknowledge: typeof last === 'function' ? (last as Acknowledge) : undefined };
  try {
    if (connection.isClosing) return;
    connection.takeRequestToken(event);
    if (!isEventName(event)) throw new ChatError('unknown_event');
    const request = parsePayload(event, args[0], context.limits);
    connection.enqueue((factsCache) => handleRequest(pending, event, request, factsCache), {
      batchKey: batchKeyOf(event, request),
      payload: request,
    });
  } catch (error) {
    sendError(pending, error);
  }
}

function parsePayload<E extends EventName>(event: E, payload: unknown, limits: Limits): RequestPayload<E> {
  const { jsonDepth: maxLevels, jsonValues: maxValues } = limits;
  if (exceedsJsonLimits({ maxLevels, maxValues }, payload))
    throw new ChatError('invalid_payload', { message: `The payload has more than ${maxLevels} levels, or ${maxValues} values.` });
  const parsed = validate(event, payload);
  if (parsed?.success) return parsed.data as RequestPayload<E>;
  const [issue] = parsed?.error.issues ?? [];
  throw new ChatError('invalid_payload', { message: `${issue?.path.join('.') || 'The payload'}: ${issue?.message ?? 'is not valid'}` });
}

/** Undefined when the check itself fails: those of lengths compare whatever has a `length`, which may be an object. */
function validate(event: EventName, payload: unknown) {
  try {
    return events[event].payload.safeParse(payload, { error: describeZodIssue });
  } catch {
    return undefined;
  }
}

/** The one place where what goes wrong is caught; it never rejects. */
async function handleRequest<E extends EventName>(
  pending: PendingRequest,
  event: E,
  request: RequestPayload<E>,
  factsCache: FactsCache,
): Promise<void> {
  const { context, connection, acknowledge } = pending;
  let reservation: MemoryReservation | undefined;
  try {
    const whenRead = connection.peer.waitUntilRead(isQuery(event) ? MAX_UNREAD_BYTES.query : MAX_UNREAD_BYTES.command);
    if (whenRead) await whenRead;
    if (isQuery(event)) reservation = await reserveResponseMemory(context, connection);
    const response = await handlers[event](context, connection, request, factsCache);
    if (acknowledge) acknowledge({ ok: true, ...response });
    else if (isQuery(event)) connection.peer.emit(`${event}:success`, response);
    else if (isUnchanged(event, response)) connection.peer.emit(`${event}:success`, { ...request, ...positionFields(response) });
    connection.peer.enforceBufferLimit();
  } catch (error) {
    sendError(pending, error);
  } finally {
    reservation?.releaseAfter(connection.peer.waitUntilRead(MAX_UNREAD_BYTES.query));
  }
}

/** Answers to questions may be large: each has its memory before anything is read for it. Nobody who is gone is answered. */
async function reserveResponseMemory({ responseMemory }: AppContext, connection: Connection): Promise<MemoryReservation> {
  const reservation = await responseMemory.reserve(
    { budgets: connection.address?.budgets, disconnect: () => connection.peer.disconnect() },
    MAX_RESPONSE_BYTES,
  );
  if (connection.peer.isConnected) return reservation;
  reservation.releaseAfter(undefined);
  throw new ChatError('busy');
}

const isQuery = (event: EventName): boolean => !(isCommandName(event) || 'ephemeral' in events[event]);

/** A command after which the room is as it was: nobody hears of it, so it is answered by an event where nothing else answers it. */
const isUnchanged = (event: EventName, response: object): response is Position => isCommandName(event) && !('id' in response);
const positionFields = ({ epoch, seq }: Position) => ({ epoch, seq });

function sendError({ context, connection, event, acknowledge }: PendingRequest, error: unknown): void {
  const payload = toErrorPayload(error, event, context.log);
  if (error instanceof ChatError && LIMIT_CODES.has(error.code))
    context.log.info(
      { address: connection.address?.name, event: event.slice(0, MAX_ECHOED_CHARS) },
      `a request is refused: ${payload.code}`,
    );
  if (acknowledge) acknowledge({ ok: false, error: payload });
  else connection.peer.emit('error', { ...payload, event: event.slice(0, MAX_ECHOED_CHARS) });
  connection.peer.enforceBufferLimit();
  // What fails here is no fault of the client.
  if (error instanceof ChatError && !connection.isClosing && !connection.takeRefusalToken()) disconnectAfterRefusals(connection);
}

/** Refusing costs, too: who does nothing but what is refused is shown out, and may come back. */
function disconnectAfterRefusals({ peer }: Connection): void {
  peer.emit('error', new ChatError('too_many_refusals').toPayload());
  peer.disconnectAfterDrain();
}
