/**
 * Detects whether a client can use the offset of an entry (Socket.IO connection state recovery).
 *
 * The offset is the last argument of an event. Socket.IO's client in JavaScript takes it away before it calls the handlers; other
 * clients pass it to the handler as one argument too many.
 */
import type { IncomingMessage } from 'node:http';

/** User agents of browsers, of Node with XMLHttpRequest and `fetch`, of Deno and Bun. A WebSocket of Node sends none. */
const JAVASCRIPT_USER_AGENT = /^(?:Mozilla\/|node-XMLHttpRequest$|node$|undici$|Deno\/|Bun\/)/;

/** A request with the query that Engine.IO has parsed. */
type Handshake = Pick<IncomingMessage, 'headers'> & { _query?: object };

/**
 * Whether the client is the JavaScript one, by its first request: it writes `EIO` before `transport`, while the Python client
 * writes it after, and the Dart client sends its user agent.
 */
export function isJavaScriptClient({ _query: query = {}, headers }: Handshake): boolean {
  const names = Object.keys(query);
  const { 'user-agent': agent } = headers;
  return names.indexOf('EIO') < names.indexOf('transport') && (agent === undefined || JAVASCRIPT_USER_AGENT.test(agent));
}

/** `auth.recovery`, which the client sends itself, overrides the detection. */
export function canUseOffsets(auth: unknown, isJavaScript = false): boolean {
  const { recovery } = (auth ?? {}) as { recovery?: unknown };
  return typeof recovery === 'boolean' ? recovery : isJavaScript;
}
