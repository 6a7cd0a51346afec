/** Limits the packets in one polling response, for clients that cannot take more. */
import type { Server, Socket } from 'socket.io';
import { isJavaScriptClient } from './recovery-offsets.ts';

/**
 * Clients by python-engineio drop an answer of more packets as a whole, and the connection with it: its decoder has this
 * limit (see findings/python-sixteen-packets.sh). The rest goes into the answer to the next poll, which follows at once. The client
 * in JavaScript takes any number, and needs to: with sixteen a round trip, what was said while it was away takes it seconds.
 */
export const MAX_POLL_PACKETS = 16;

/** What is used of a connection of Engine.IO. */
interface EngineConnection {
  readonly readyState: string;
  readonly transport: { readonly name: string; readonly writable: boolean };
  writeBuffer: unknown[];
  flush(): void;
}

export function limitPollResponses(engine: Server['engine']): void {
  engine.on('connection', (connection: Socket['conn']) => {
    const { transport, request } = connection;
    const isLimited = transport.name === 'polling' && !isJavaScriptClient(request);
    if (isLimited) (connection as unknown as EngineConnection).flush = flushLimited;
  });
}

/** A connection that closes waits for one flush only, so all goes out with that one. After an upgrade nothing is held back. */
function flushLimited(this: EngineConnection): void {
  const engine = Object.getPrototypeOf(this) as EngineConnection;
  const { transport, readyState } = this;
  const isLimited = transport.name === 'polling' && transport.writable && readyState === 'open';
  const rest = isLimited ? this.writeBuffer.splice(MAX_POLL_PACKETS) : [];
  engine.flush.call(this);
  // Whatever was sent meanwhile comes after the rest.
  if (rest.length > 0) this.writeBuffer = [...rest, ...this.writeBuffer];
}
