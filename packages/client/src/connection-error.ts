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
export interface TransportFault extends Error {
  /** Of Node's errors. */
  code?: unknown;
  /** The HTTP status of a poll, or the event of a WebSocket. */
  description?: unknown;
  /** The request of a poll. */
  context?: unknown;
}

/** What an Engawa or a Socket.IO server says of a refused request: the latter with a number as its code. */
interface Said {
  error?: string;
  message?: string;
  code?: unknown;
}

const TLS = /CERT|SIGN|ISSUER|SSL|TLS|EPROTO/;
/** What HTTP says of a URL, not of a moment. */
const FINAL_STATUS = /^(3|4(?!08|25|29))/;

export const connectionError = (code: ConnectionErrorCode, address: string, reason: string, cause?: unknown): ConnectionError => ({
  code,
  message: `${address}: ${reason}. ${ADVICE[code]}`,
  retryable: code === 'unreachable' || code === 'websocket_failed',
  address,
  advice: ADVICE[code],
  cause,
});

/** What became of a try that ended with this fault; `isUpgrade` where it was by WebSocket. */
export function diagnose(fault: TransportFault, address: string, isUpgrade: boolean): ConnectionError {
  const description = Object(fault.description) as { error?: unknown };
  const context = Object(fault.context) as { statusText?: unknown; responseText?: unknown };
  // In Node the error is there; its request takes it for the text of a status.
  const cause = [description.error, context.statusText].find((each): each is TransportFault => each instanceof Error) ?? fault;
  const status = Number(fault.description) || 0;
  const said = parsed(context.responseText);
  const reason = said.message ?? (status > 0 ? `HTTP ${status}` : cause.message.replace('server error', '') || String(cause.code));
  return connectionError(codeOf(cause, { status, said, isUpgrade }), address, reason.replace(/\.$/, ''), cause);
}

function codeOf(
  cause: TransportFault,
  { status, said, isUpgrade }: { status: number; said: Said; isUpgrade: boolean },
): ConnectionErrorCode {
  if (said.error === 'origin_not_allowed') return said.error;
  const code = String(cause.code);
  if (TLS.test(code)) return 'tls_failed';
  // What is no HTTP, and what is no packet.
  if (/^(HPE|parser)/.test(code)) return 'not_a_chat_server';
  if (FINAL_STATUS.test(String(status)) && typeof said.code !== 'number') return 'not_a_chat_server';
  return isUpgrade && cause.code === undefined ? 'websocket_failed' : 'unreachable';
}

function parsed(text: unknown): Said {
  try {
    return Object(JSON.parse(String(text))) as Said;
  } catch {
    return {};
  }
}
