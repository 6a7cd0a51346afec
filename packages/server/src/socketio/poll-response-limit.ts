/** Limits the packets in one polling response, for clients that cannot take more. */
import type { Server, Socket } from 'socket.io';
import { isJavaScriptClient } from './recovery-offsets.ts';

/**
 * Clients by python-engineio drop a response with more packets, and the connection with it: their decoder has this limit (see
 * findings/python-sixteen-packets.sh). The rest is sent in the response to the next poll, which follows at once. The JavaScript
 * client accepts any number and needs it: with sixteen packets a round trip, a long backlog would take seconds.
 */
export const MAX_POLL_PACKETS = 16;

/** The fields of an Engine.IO connection that are used here. */
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

/** A closing connection waits for one flush only, so everything is sent with that one. After an upgrade there is no limit. */
function flushLimited(this: EngineConnection): void {
  const engine = Object.getPrototypeOf(this) as EngineConnection;
  const { transport, readyState } = this;
  const isLimited = transport.name === 'polling' && transport.writable && readyState === 'open';
  const rest = isLimited ? this.writeBuffer.splice(MAX_POLL_PACKETS) : [];
  engine.flush.call(this);
  // Packets that were sent meanwhile follow after the rest.
  if (rest.length > 0) this.writeBuffer = [...rest, ...this.writeBuffer];
}
