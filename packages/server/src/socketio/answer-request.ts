/** Passes an event of a Socket.IO client to the chat node, and writes the answer to the client. */
import { isCommandName, isEventName, isQueryName } from '@engawa/protocol';
import type { Answer } from '../api/answer.ts';
import { MAX_ECHOED_CHARS } from '../api/dispatch.ts';
import type { ChatNode } from '../chat-node.ts';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';
import type { ChatSocket } from './chat-socket.ts';
import type { SocketIoTransport } from './socketio-transport.ts';

type Acknowledge = (ack: object) => void;

interface RequestListenerOptions {
  node: ChatNode;
  transport: SocketIoTransport;
  log: RateLimitedLog;
}

/** One listener for the events of all sockets. */
export function requestListener({ node, transport, log }: RequestListenerOptions) {
  return function onRequest(this: ChatSocket, name: unknown, ...args: unknown[]): void {
    answerRequest(this, name, args).catch((error: unknown) => log.error({ err: error }, 'an answer could not be written'));
  };

  /** `args`: the payload, and last the acknowledgement, if the client wants one. */
  async function answerRequest(socket: ChatSocket, name: unknown, args: unknown[]): Promise<void> {
    const event = typeof name === 'string' ? name : '';
    const last = args.at(-1);
    const answer = await node.dispatch({ connection: socket.data, event, payload: args[0] });
    answer?.deliver((ack) => {
      if (typeof last === 'function') (last as Acknowledge)(ack);
      else emitAnswer(socket, event, answer);
      transport.enforceBufferLimit(socket);
    });
  }
}

/**
 * Answers a client that wants no acknowledgement. A command that changed the room is answered by its broadcast; one that changed
 * nothing has none, and is answered by an event of the same name. Clients of ephemeral events receive errors only.
 */
function emitAnswer(socket: ChatSocket, event: string, { ack, request }: Answer): void {
  if (!ack.ok) {
    socket.emit('error', { ...ack.error, event: event.slice(0, MAX_ECHOED_CHARS) });
    return;
  }
  const { ok: _, ...response } = ack;
  if (!isEventName(event)) return;
  if (isQueryName(event)) socket.emit(`${event}:success`, response);
  else if (isCommandName(event) && !('id' in response)) {
    const { epoch, seq } = response as { epoch: string; seq: number };
    socket.emit(`${event}:success`, { ...request, epoch, seq });
  }
}
