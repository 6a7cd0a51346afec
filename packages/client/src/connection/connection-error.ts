/** Why a connection cannot be had: what the transports say of it, in codes. */

/** What to do about each. */
const ADVICE = {
  invalid_url: 'It begins with http:// or https://.',
  unreachable: 'Is the server running there?',
  websocket_failed: 'Proxies must pass WebSockets on.',
  tls_failed: 'Check the certificate, or set NODE_EXTRA_CA_CERTS.',
  origin_not_allowed: 'Add this origin to ENGAWA_ORIGINS.',
  not_a_chat_server: 'Check the address and its path.',
};

export type ConnectionErrorCode = keyof typeof ADVICE;

/** Why there is no connection, or not the best one. */
export interface ConnectionError {
  /**
   * `invalid_url`: nothing can be at this address. `unreachable`: no answer, or that of a proxy whose server is away.
   * `websocket_failed`: no WebSocket comes through; it goes on by polling. `tls_failed`: the certificate is wrong, or there is
   * no TLS. `origin_not_allowed`: the server does not let this page in. `not_a_chat_server`: something else answered.
   */
  code: ConnectionErrorCode;
  /** English, for people: address, reason and advice. */
  message: string;
  /** Whether it is tried again by itself. Once a server was reached, everything is. */
  retryable: boolean;
  /** Where it was tried. */
  address: string;
  /** What to do about it; English, for people. */
  advice: string;
  /** What the transport said: in Node with its `code`, as `ECONNREFUSED`; browsers tell nothing. */
  cause?: unknown;
}

/** An error as `connect_error` has it. */
export interface SocketIoConnectError extends Error {
  /** Of Node's errors. */
  code?: unknown;
  /** The HTTP status of a poll, or the event of a WebSocket. */
  description?: unknown;
  /** The request of a poll. */
  context?: unknown;
}

/** What an Engawa or a Socket.IO server says of a refused request: the latter with a number as its code. */
interface ErrorBody {
  error?: string;
  message?: string;
  code?: unknown;
}

const TLS_ERROR_CODE = /CERT|SIGN|ISSUER|SSL|TLS|EPROTO/;
/** What HTTP says of a URL, not of a moment. */
const PERMANENT_STATUS = /^(3|4(?!08|25|29))/;

export const createConnectionError = (code: ConnectionErrorCode, address: string, reason: string, cause?: unknown): ConnectionError => ({
  code,
  message: `${address}: ${reason}. ${ADVICE[code]}`,
  retryable: code === 'unreachable' || code === 'websocket_failed',
  address,
  advice: ADVICE[code],
  cause,
});

/** What became of a try that ended with this fault; `isUpgrade` where it was by WebSocket. */
export function classifyConnectError(error: SocketIoConnectError, address: string, isUpgrade: boolean): ConnectionError {
  const description = Object(error.description) as { error?: unknown };
  const context = Object(error.context) as { statusText?: unknown; responseText?: unknown };
  // In Node the error is there; its request takes it for the text of a status.
  const cause = [description.error, context.statusText].find((each): each is SocketIoConnectError => each instanceof Error) ?? error;
  const status = Number(error.description) || 0;
  const body = parseBody(context.responseText);
  const reason = body.message ?? (status > 0 ? `HTTP ${status}` : cause.message.replace('server error', '') || String(cause.code));
  return createConnectionError(codeOf(cause, { status, body, isUpgrade }), address, reason.replace(/\.$/, ''), cause);
}

function codeOf(
  cause: SocketIoConnectError,
  { status, body, isUpgrade }: { status: number; body: ErrorBody; isUpgrade: boolean },
): ConnectionErrorCode {
  if (body.error === 'origin_not_allowed') return body.error;
  const code = String(cause.code);
  if (TLS_ERROR_CODE.test(code)) return 'tls_failed';
  // What is no HTTP, and what is no packet.
  if (/^(HPE|parser)/.test(code)) return 'not_a_chat_server';
  if (PERMANENT_STATUS.test(String(status)) && typeof body.code !== 'number') return 'not_a_chat_server';
  return isUpgrade && cause.code === undefined ? 'websocket_failed' : 'unreachable';
}

function parseBody(text: unknown): ErrorBody {
  try {
    return Object(JSON.parse(String(text))) as ErrorBody;
  } catch {
    return {};
  }
}
