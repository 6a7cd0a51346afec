/** Dispatches one request of a connection to its handler, and returns the response or the error. */
import {
  ChatError,
  describeZodIssue,
  type ErrorCode,
  type EventName,
  events,
  isEventName,
  isQueryName,
  type Limits,
  type RequestPayload,
} from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import { MAX_RESPONSE_BYTES } from '../domain/response-budget.ts';
import type { MemoryReservation } from '../limits/response-memory.ts';
import { Answer, MAX_UNREAD_QUERY_BYTES } from './answer.ts';
import type { AppContext } from './context.ts';
import { toErrorPayload } from './error-payload.ts';
import { batchKeyOf, checkBeforeHandling } from './event-properties.ts';
import { handlers } from './handlers.ts';
import { exceedsJsonLimits } from './json-size.ts';

/** Characters of the event name that a refusal repeats: a client can send any name. */
export const MAX_ECHOED_CHARS = 64;

/**
 * Bytes that may be unread by a client whose command is executed. A slow consumer that chats is served until much more waits than
 * before a query: responses to commands are small.
 */
const MAX_UNREAD_COMMAND_BYTES = 1024 * 1024;

/** Refusals by a limit are logged: the operator may have set it too low. */
const LIMIT_CODES = new Set<ErrorCode>(['rate_limited', 'too_many_rooms', 'too_many_names', 'quota_exceeded', 'busy']);

/** A request as a transport receives it. */
export interface ClientRequest {
  connection: Connection;
  event: string;
  payload: unknown;
}

interface PendingRequest<E extends EventName> {
  connection: Connection;
  event: E;
  request: RequestPayload<E>;
  resolve: (answer: Answer) => void;
}

/**
 * Never rejects. Resolves before the next request of the connection begins, so that a transport that delivers the answer at once
 * keeps their order. Resolves with undefined if the connection is closing: its requests are ignored.
 */
export function dispatch(context: AppContext, { connection, event, payload }: ClientRequest): Promise<Answer | undefined> {
  if (connection.isClosing) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    try {
      connection.takeRequestToken(event);
      if (!isEventName(event)) throw new ChatError('unknown_event');
      const request = parsePayload(event, payload, context.limits);
      connection.enqueue(() => execute(context, { connection, event, request, resolve }), {
        batchKey: batchKeyOf(event, request),
        payload: request,
      });
    } catch (error) {
      resolve(refuse(context, { connection, event }, error));
    }
  });
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

/** Undefined if the check itself throws: length checks read `length`, which may be an object. */
function validate(event: EventName, payload: unknown) {
  try {
    return events[event].payload.safeParse(payload, { error: describeZodIssue });
  } catch {
    return undefined;
  }
}

/** The one place where errors of handlers are caught. */
async function execute<E extends EventName>(
  context: AppContext,
  { connection, event, request, resolve }: PendingRequest<E>,
): Promise<void> {
  let reservation: MemoryReservation | undefined;
  try {
    const whenRead = connection.peer.waitUntilRead(isQueryName(event) ? MAX_UNREAD_QUERY_BYTES : MAX_UNREAD_COMMAND_BYTES);
    if (whenRead) await whenRead;
    if (isQueryName(event)) reservation = await reserveResponseMemory(context, connection);
    checkBeforeHandling(event, context, connection, request);
    const response = await handlers[event](context, connection, request);
    resolve(new Answer({ ok: true, ...response }, { connection, request, reservation }));
  } catch (error) {
    resolve(refuse(context, { connection, event, request, reservation }, error));
  }
}

/** Reserves memory for the response before anything is read for it. A client that has disconnected meanwhile gets no response. */
async function reserveResponseMemory({ responseMemory }: AppContext, connection: Connection): Promise<MemoryReservation> {
  const reservation = await responseMemory.reserve(
    { budgets: connection.address?.budgets, disconnect: () => connection.peer.disconnect() },
    MAX_RESPONSE_BYTES,
  );
  if (connection.peer.isConnected) return reservation;
  reservation.releaseAfter(undefined);
  throw new ChatError('busy');
}

interface RefusedRequest {
  connection: Connection;
  event: string;
  request?: object;
  reservation?: MemoryReservation | undefined;
}

function refuse({ log }: AppContext, { connection, event, ...details }: RefusedRequest, error: unknown): Answer {
  const payload = toErrorPayload(error, event, log);
  if (error instanceof ChatError && LIMIT_CODES.has(error.code))
    log.info({ address: connection.address?.name, event: event.slice(0, MAX_ECHOED_CHARS) }, `a request is refused: ${payload.code}`);
  // Server errors do not count against the client. The token is taken at once, so that the requests that follow are ignored.
  const isLast = error instanceof ChatError && !connection.isClosing && !connection.takeRefusalToken();
  return new Answer({ ok: false, error: payload }, { connection, ...details, isLast });
}
