/**
 * Detects whether a client can use the offset of an entry (Socket.IO connection state recovery).
 *
 * The offset is the last argument of an event. Socket.IO's client in JavaScript takes it away before it calls the handlers; other
 * clients pass it to the handler as one argument too many.
 */
import type { IncomingMessage } from 'node:http';

/** Browsers, Node by XMLHttpRequest and by `fetch`, Deno and Bun. A WebSocket of Node says no name. */
const JAVASCRIPT_USER_AGENT = /^(?:Mozilla\/|node-XMLHttpRequest$|node$|undici$|Deno\/|Bun\/)/;

/** As Engine.IO has the query of a request. */
type Handshake = Pick<IncomingMessage, 'headers'> & { _query?: object };

/**
 * Whether a client is the one in JavaScript, as far as its first request tells: that writes `EIO` before `transport`, where
 * the one in Python writes it after, and the one in Dart says its name.
 */
export function isJavaScriptClient({ _query: query = {}, headers }: Handshake): boolean {
  const names = Object.keys(query);
  const { 'user-agent': agent } = headers;
  return names.indexOf('EIO') < names.indexOf('transport') && (agent === undefined || JAVASCRIPT_USER_AGENT.test(agent));
}

/** What a client says itself, as `auth.recovery`, counts more than what its handshake looks like. */
export function canUseOffsets(auth: unknown, isJavaScript = false): boolean {
  const { recovery } = (auth ?? {}) as { recovery?: unknown };
  return typeof recovery === 'boolean' ? recovery : isJavaScript;
}
