/** Error codes with their English texts, and the error class that carries them. */
interface ErrorDefinition {
  /** English text for people. Clients must branch on the code instead. */
  message: string;
  /** Whether the same request may succeed later, unchanged. */
  retryable: boolean;
}

/** The table of all errors. Clients of the original tutorial know and compare the first three texts; they must not change. */
export const errors = {
  room_exists: { message: 'Room already exist.', retryable: false },
  room_not_found: { message: 'Room does not exist.', retryable: false },
  name_taken: { message: 'Username already exists, please choose another username.', retryable: false },
  name_confusable: {
    message: 'This username looks like another one of this room, please choose another username.',
    retryable: false,
  },
  room_confusable: { message: 'This room id looks like that of another room, please choose another one.', retryable: false },
  not_a_member: { message: 'You are not a member of this room.', retryable: false },
  removed: { message: 'You were removed from this room.', retryable: false },
  not_allowed: { message: 'You are not allowed to do this.', retryable: false },
  chat_not_found: { message: 'Chat does not exist.', retryable: false },
  too_many_reactions: { message: 'This chat has the maximum number of different reactions.', retryable: false },
  too_many_rooms: { message: 'This connection is in the maximum number of rooms.', retryable: false },
  quota_exceeded: { message: 'The storage quota is used up.', retryable: false },
  too_many_names: { message: 'This connection or address has the maximum number of names in this room.', retryable: false },
  too_many_connections: { message: 'Too many connections from this address.', retryable: true },
  invalid_payload: { message: 'The payload is not valid.', retryable: false },
  invalid_session: { message: 'The session is not valid.', retryable: false },
  unknown_event: { message: 'There is no such event.', retryable: false },
  rate_limited: { message: 'Too many requests, please slow down.', retryable: true },
  too_many_refusals: { message: 'Too many requests were refused, the connection is closed.', retryable: true },
  busy: { message: 'The server is busy, please try again.', retryable: true },
  outcome_unknown: { message: 'It is unknown whether this was stored: please retry with the same clientId.', retryable: true },
  storage_full: { message: 'The server has no space left, please try again later.', retryable: true },
  storage_failed: { message: 'The server cannot store this now, please try again later.', retryable: true },
  internal: { message: 'Something went wrong on the server.', retryable: true },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof errors;

/** An error as it is sent to the client. */
export interface ErrorPayload {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  /** Milliseconds after which the same request may succeed; only with `rate_limited`. */
  retryAfterMs?: number;
}

/** An error as it is thrown. The code determines what the client receives; the cause is only logged by the server. */
export class ChatError extends Error {
  override readonly name = 'ChatError';
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, options: { message?: string; retryAfterMs?: number; cause?: unknown } = {}) {
    super(options.message ?? errors[code].message, { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }

  get retryable(): boolean {
    return errors[this.code].retryable;
  }

  toPayload(): ErrorPayload {
    const payload: ErrorPayload = { code: this.code, message: this.message, retryable: this.retryable };
    return this.retryAfterMs === undefined ? payload : { ...payload, retryAfterMs: this.retryAfterMs };
  }
}
