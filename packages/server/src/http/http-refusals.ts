/** The refusals of HTTP requests and upgrades, and how they are answered. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** A refusal in HTTP. The code is for programs and for the log, the message for people. */
export interface HttpRefusal {
  status: number;
  code: string;
  message: string;
  headers?: Readonly<Record<string, string>>;
}

const RETRY_SOON = { 'retry-after': '5' };

export const refusals = {
  notFound: { status: 404, code: 'not_found', message: 'There is nothing here.' },
  noLibrary: {
    status: 404,
    code: 'not_found',
    message:
      'The client library is not served here: take @engawa/client or socket.io-client from npm, or socket.io.min.js from https://cdn.socket.io.',
  },
  noHost: { status: 400, code: 'host_missing', message: 'A request must name its host.' },
  expectation: { status: 417, code: 'expectation_failed', message: 'This cannot be expected.' },
  upgrade: { status: 400, code: 'upgrade_not_taken', message: 'Only WebSocket is offered as an upgrade.' },
  origin: { status: 403, code: 'origin_not_allowed', message: 'Pages of this origin may not connect.' },
  jsonp: { status: 400, code: 'jsonp_not_allowed', message: 'JSONP is not offered.' },
  tooManyConnections: {
    status: 429,
    code: 'too_many_connections',
    message: 'Too many connections from this address.',
    headers: RETRY_SOON,
  },
  memory: { status: 503, code: 'memory_low', message: 'The server has no memory for more connections.', headers: RETRY_SOON },
  busy: { status: 503, code: 'busy', message: 'The server is busy, please try again.', headers: RETRY_SOON },
  notReady: { status: 503, code: 'not_ready', message: 'The server is starting or about to stop.', headers: RETRY_SOON },
} as const satisfies Record<string, HttpRefusal>;

export const methodRefusal = (allowed: string): HttpRefusal => ({
  status: 405,
  code: 'method_not_allowed',
  message: `Allowed here: ${allowed}.`,
  headers: { allow: allowed },
});

/** Milliseconds. */
export const rateRefusal = (retryAfterMs = 1_000): HttpRefusal => ({
  status: 429,
  code: 'rate_limited',
  message: 'Too many requests, please slow down.',
  headers: { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) },
});

const headersOf = ({ headers }: HttpRefusal) => ({
  'content-type': 'application/json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // Lets a page of any origin read why it is refused. The response reveals nothing else about the server.
  'access-control-allow-origin': '*',
  connection: 'close',
  ...headers,
});

/** A refusal is retryable if it has a `retry-after` header. */
const bodyOf = ({ code, message, headers }: HttpRefusal): string =>
  JSON.stringify({ error: code, message, retryable: headers?.['retry-after'] !== undefined });

/** Responds and closes the connection. Requests that are pipelined after this one are ignored. */
export function refuseRequest(request: IncomingMessage, response: ServerResponse, refusal: HttpRefusal): void {
  dropPipelined(request);
  response.writeHead(refusal.status, headersOf(refusal)).end(bodyOf(refusal));
}

/** An upgrade has no response object: the response is written to the socket. */
export function refuseUpgrade(socket: Duplex, refusal: HttpRefusal): void {
  const body = bodyOf(refusal);
  const headers = Object.entries({ ...headersOf(refusal), 'content-length': Buffer.byteLength(body) });
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${lines}\r\n${body}`);
}

/** An undocumented field of Node's HTTP parser: it is called with each request; a result of 2 means that no HTTP follows. */
interface SocketWithParser {
  parser?: { onIncoming?: unknown } | null;
}

/**
 * Makes the parser ignore further requests of the same chunk. Otherwise Node would emit all of them before it looks at the
 * connection again: a chunk of 64 KiB has a thousand, at some microseconds each. If Node's parser is different, they cost that
 * much.
 */
function dropPipelined({ socket }: IncomingMessage): void {
  const { parser } = socket as SocketWithParser;
  if (typeof parser?.onIncoming === 'function') parser.onIncoming = () => 2;
}
