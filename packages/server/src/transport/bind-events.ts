import {
  ChatError,
  type ErrorCode,
  type EventName,
  events,
  isCommandName,
  isEventName,
  type Limits,
  type Payload,
  type Position,
  plainWords,
} from '@engawa/protocol';
import { ANSWER_BYTES } from '../chat/budget.ts';
import type { SharedReads } from '../chat/commit.ts';
import type { Hold } from './answer-memory.ts';
import { handlers, runOf } from './handlers.ts';
import { isLargerThan } from './json-size.ts';
import { connectionOf } from './local-room.ts';
import type { Services } from './services.ts';
import type { Peer } from './wire.ts';
import { toWireError } from './wire-error.ts';

/** Characters of an event's name that a refusal repeats: any name may be asked for. */
const ECHOED = 64;

/**
 * What may be unread by a client that is answered. A question waits until the answers before it were read; who reads slowly and
 * talks is heard all the same, until much more waits: their answers are small.
 */
const UNREAD_BYTES = { question: 256 * 1024, command: 1024 * 1024 };

/** Refusals by a limit: an operator must see them, who may have set it too low. */
const LIMITING = new Set<ErrorCode>(['rate_limited', 'too_many_rooms', 'too_many_names', 'quota_exceeded', 'busy']);

type Acknowledge = (answer: object) => void;

/** One packet that wants an answer. */
interface Asked {
  services: Services;
  peer: Peer;
  event: string;
  acknowledge: Acknowledge | undefined;
}

/** One packet of a peer: it is answered by its acknowledgement, or by an `error` event. */
export function receive(services: Services, peer: Peer, name: unknown, args: unknown[]): void {
  const event = typeof name === 'string' ? name : '';
  const last = args.at(-1);
  const asked = { services, peer, event, acknowledge: typeof last === 'function' ? (last as Acknowledge) : undefined };
  try {
    const connection = connectionOf(peer);
    if (connection.isDismissed) return;
    connection.mayAsk(event);
    if (!isEventName(event)) throw new ChatError('unknown_event');
    const ask = parse(event, args[0], services.limits);
    connection.inTurn((shared) => answer(asked, event, ask, shared), { run: runOf(event, ask), payload: ask });
  } catch (error) {
    refuse(asked, error);
  }
}

function parse<E extends EventName>(event: E, payload: unknown, limits: Limits): Payload<E> {
  const { jsonDepth: levels, jsonValues: values } = limits;
  if (isLargerThan({ levels, values }, payload))
    throw new ChatError('invalid_payload', { message: `The payload has more than ${levels} levels, or ${values} values.` });
  const parsed = check(event, payload);
  if (parsed?.success) return parsed.data as Payload<E>;
  const [issue] = parsed?.error.issues ?? [];
  throw new ChatError('invalid_payload', { message: `${issue?.path.join('.') || 'The payload'}: ${issue?.message ?? 'is not valid'}` });
}

/** Undefined when the check itself fails: those of lengths compare whatever has a `length`, which may be an object. */
function check(event: EventName, payload: unknown) {
  try {
    return events[event].payload.safeParse(payload, { error: plainWords });
  } catch {
    return undefined;
  }
}

/** The one place where what goes wrong is caught; it never rejects. */
async function answer<E extends EventName>(asked: Asked, event: E, ask: Payload<E>, shared: SharedReads): Promise<void> {
  const { services, peer, acknowledge } = asked;
  let hold: Hold | undefined;
  try {
    const read = services.wire.readTo(peer, isQuestion(event) ? UNREAD_BYTES.question : UNREAD_BYTES.command);
    if (read) await read;
    if (isQuestion(event)) hold = await holdAnswer(services, peer);
    const reply = await handlers[event](services, peer, ask, shared);
    if (acknowledge) acknowledge({ ok: true, ...reply });
    else if (isQuestion(event)) peer.emit(`${event}:success`, reply);
    else if (changedNothing(event, reply)) peer.emit(`${event}:success`, { ...ask, ...placeIn(reply) });
    services.wire.sent(peer);
  } catch (error) {
    refuse(asked, error);
  } finally {
    hold?.releaseOnce(services.wire.readTo(peer, UNREAD_BYTES.question));
  }
}

/** Answers to questions may be large: each has its memory before anything is read for it. Nobody who is gone is answered. */
async function holdAnswer({ memory, wire }: Services, peer: Peer): Promise<Hold> {
  const hold = await memory.take({ address: connectionOf(peer).address?.budgets, end: () => wire.end(peer) }, ANSWER_BYTES);
  if (peer.connected) return hold;
  hold.releaseOnce(undefined);
  throw new ChatError('busy');
}

const isQuestion = (event: EventName): boolean => !(isCommandName(event) || 'signalled' in events[event]);

/** A command after which the room is as it was: nobody hears of it, so it is answered by an event where nothing else answers it. */
const changedNothing = (event: EventName, reply: object): reply is Position => isCommandName(event) && !('id' in reply);
const placeIn = ({ epoch, seq }: Position) => ({ epoch, seq });

function refuse({ services, peer, event, acknowledge }: Asked, error: unknown): void {
  const wire = toWireError(error, event, services.log);
  if (error instanceof ChatError && LIMITING.has(error.code))
    services.log.info({ address: connectionOf(peer).address?.name, event: event.slice(0, ECHOED) }, `a request is refused: ${wire.code}`);
  if (acknowledge) acknowledge({ ok: false, error: wire });
  else peer.emit('error', { ...wire, event: event.slice(0, ECHOED) });
  services.wire.sent(peer);
  // What fails here is no fault of the client.
  const connection = connectionOf(peer);
  if (error instanceof ChatError && !connection.isDismissed && !connection.mayBeRefused()) dismiss(services, peer);
}

/** Refusing costs, too: who does nothing but what is refused is shown out, and may come back. */
function dismiss({ wire }: Services, peer: Peer): void {
  peer.emit('error', new ChatError('too_many_refusals').toWire());
  wire.dismiss(peer);
}
