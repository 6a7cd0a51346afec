/** Connection errors: classifies what the transports report, with a code and advice for each. */

const ADVICE = {
  invalid_url: 'It begins with http:// or https://.',
  unreachable: 'Is the server running there?',
  websocket_failed: 'Proxies must pass WebSockets on.',
  tls_failed: 'Check the certificate, or set NODE_EXTRA_CA_CERTS.',
  origin_not_allowed: 'Add this origin to ENGAWA_ALLOWED_ORIGINS.',
  not_a_chat_server: 'Check the address and its path.',
};

export type ConnectionErrorCode = keyof typeof ADVICE;

/** Why there is no connection, or not the preferred transport. */
export interface ConnectionError {
  /**
   * `invalid_url`: not the URL of a server. `unreachable`: no answer, or a proxy answered that its server is down.
   * `websocket_failed`: no WebSocket connects; the client uses polling. `tls_failed`: the certificate is not valid, or there is
   * no TLS. `origin_not_allowed`: the server refuses this page's origin. `not_a_chat_server`: something else answered.
   */
  code: ConnectionErrorCode;
  /** English text for users: address, reason and advice. */
  message: string;
  /** Whether the client retries. After the first successful connection every error is retryable. */
  retryable: boolean;
  /** The address of the attempt. */
  address: string;
  /** English text for users: what to do about it. */
  advice: string;
  /** The error of the transport. In Node it has a `code`, such as `ECONNREFUSED`; browsers give no details. */
  cause?: unknown;
}

/** An error of `connect_error`. */
export interface SocketIoConnectError extends Error {
  /** Set by Node. */
  code?: unknown;
  /** The HTTP status of a poll, or the event of a WebSocket. */
  description?: unknown;
  /** The request of a poll. */
  context?: unknown;
}

/** The body of a refused request, from Engawa or from Socket.IO. The `code` of Socket.IO is a number. */
interface ErrorBody {
  error?: string;
  message?: string;
  code?: unknown;
}

const TLS_ERROR_CODE = /CERT|SIGN|ISSUER|SSL|TLS|EPROTO/;
/** HTTP statuses for which a retry of the same URL is pointless. */
const PERMANENT_STATUS = /^(3|4(?!08|25|29))/;

export const createConnectionError = (code: ConnectionErrorCode, address: string, reason: string, cause?: unknown): ConnectionError => ({
  code,
  message: `${address}: ${reason}. ${ADVICE[code]}`,
  retryable: code === 'unreachable' || code === 'websocket_failed',
  address,
  advice: ADVICE[code],
  cause,
});

/** Classifies the error of a failed attempt. `isUpgrade`: the attempt was a WebSocket. */
export function classifyConnectError(error: SocketIoConnectError, address: string, isUpgrade: boolean): ConnectionError {
  const description = Object(error.description) as { error?: unknown };
  const context = Object(error.context) as { statusText?: unknown; responseText?: unknown };
  // In Node the error is in `description.error`, or XMLHttpRequest has it as the status text.
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
  // The answer is not HTTP, or not an Engine.IO packet.
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
