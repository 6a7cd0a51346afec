import { MAX_FRAME_BYTES, MAX_PAGE_ITEMS, MAX_ROOMS_PER_RESUME } from './bounds.ts';

/** A token bucket: `burst` at once, refilled at `perSecond`. */
export interface RateLimit {
  burst: number;
  perSecond: number;
}

/** What one server allows. Every join reply carries the values in force. */
export interface Limits {
  /** Bytes of one frame, which ends its connection when it is larger, or of one polling body, which is then refused. */
  frameBytes: number;
  /** Unicode code points of a chat's text. */
  textCodePoints: number;
  /** Bytes of a chat's text as JSON in UTF-8: four a code point are always enough, a control character takes six. */
  textBytes: number;
  /** Unicode code points of a room's topic. */
  topicCodePoints: number;
  /** Bytes of a room's topic as JSON in UTF-8. */
  topicBytes: number;
  /** UTF-8 bytes of a room id, a username or a client id. */
  idBytes: number;
  /** Levels of arrays and objects in a payload. */
  jsonDepth: number;
  /** Values in a payload, all levels together. */
  jsonValues: number;
  /** Different reactions on one chat. */
  reactionsPerChat: number;
  /** Items of a page, when the question does not say. */
  pageDefault: number;
  /** Items of a page at most. */
  pageMax: number;
  /** Chats that are counted as unread: so many are as many or more. */
  unreadMax: number;
  /** Rooms that one connection may be in. */
  roomsPerConnection: number;
  /** Names that one connection may have in a room. */
  namesPerRoom: number;
  /** Rooms of one `resume:rooms`. */
  roomsPerResume: number;
  /** Chats of one `create:chats`. */
  chatsPerPacket: number;
  /** Commands of one connection that may wait for an answer. */
  waitingPerConnection: number;
  /** Bytes of memory of those that are not begun yet. */
  waitingBytesPerConnection: number;
  /**
   * Members from which on a room is large: who joins, leaves, comes and goes there is told as counts, and so is who types
   * once so many are connected.
   */
  largeRoom: number;
  /** What is kept of any room's log at most: an owner may keep less of his, not more. */
  retention: Retention;
  /** How much may be kept. */
  quotas: Quotas;
  /** How often and how many at once; null where the operator has lifted them. */
  rates: RateLimits | null;
  perAddress: AddressLimits;
}

/** What is kept of a log. What exceeds one of these goes, the oldest entries first; what is not said has no limit. */
export interface Retention {
  /** Milliseconds from the entry's `at`: older ones go. */
  maxAge?: number | undefined;
  /** Entries, of whatever kind. */
  maxCount?: number | undefined;
  /** UTF-8 bytes of what the entries say, as JSON. */
  maxBytes?: number | undefined;
}

export interface RateLimits {
  /** Packets of any kind but those that have a rate of their own below, per connection. */
  packets: RateLimit;
  /** Rooms that are resumed, or that a stock client comes back to, per connection: each time, and one for each ask. */
  resumes: RateLimit;
  /** Typing, presence and read marks, per connection. */
  signals: RateLimit;
  /** Chats and new texts of chats, per author and room, over all connections to one server; null where the operator has lifted it. */
  chats: RateLimit | null;
  /** Rooms created or joined, per connection. */
  joins: RateLimit;
  /** Refusals of whatever kind, per connection: with one more it is closed. */
  refusals: RateLimit;
  /** Frames of one connection, of whatever kind. One that sends more is closed. */
  frames: RateLimit;
}

/** What one network address may use; of IPv6 addresses the first 64 bits count. Null where the operator has lifted it. */
export interface AddressLimits {
  /** TCP connections at once: a browser opens up to six for one client that polls. */
  sockets: number | null;
  /** HTTP requests. While none is left no TCP connection is taken either. */
  requests: RateLimit | null;
  /** Connections at once. */
  connections: number | null;
  /** New connections. */
  connects: RateLimit | null;
  /** Packets of any kind but asks to resume. */
  packets: RateLimit | null;
  /** Rooms that are opened. */
  rooms: RateLimit | null;
  /** Bytes of what is added to rooms, as they are kept: names and ids several times. */
  bytes: RateLimit | null;
  /** Rooms that are resumed, or that stock clients come back to. */
  resumes: RateLimit | null;
  /** Rooms created or joined, and names that are added to any one room. */
  joins: RateLimit | null;
  roomJoins: RateLimit | null;
  /** Names that its connections have in any one room: fewer than half of what makes a room large. */
  membersPerRoom: number | null;
  /** Rooms that its connections are in, each counted as often as a connection is in it. */
  seats: number | null;
  /** Bytes of memory of what its connections have asked and is not begun yet. */
  waitingBytes: number | null;
  /** Bytes of large answers that are made at once, or were not read yet: further ones wait for them. */
  answerBytes: number | null;
}

/** How much may be kept. What would exceed one of these is refused as `quota_exceeded`; null where the operator has lifted it. */
export interface Quotas {
  /** Rooms that one session may own. */
  roomsPerSession: number | null;
  /** Rooms of the server. */
  rooms: number | null;
  /** UTF-8 bytes of what the entries of one room say, as JSON. */
  roomBytes: number | null;
  /** Bytes that all rooms together take in the store. */
  totalBytes: number | null;
}

export const DAY_SECONDS = 86_400;
export const HOUR_SECONDS = 3_600;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** So many at once, and so many more in the time. */
export const rateLimit = (count: number, seconds: number): RateLimit => ({ burst: count, perSecond: count / seconds });

export const LIMITS = {
  frameBytes: MAX_FRAME_BYTES,
  textCodePoints: 4_000,
  textBytes: 16_000,
  topicCodePoints: 500,
  topicBytes: 2_000,
  idBytes: 128,
  jsonDepth: 16,
  jsonValues: 4_000,
  reactionsPerChat: 20,
  pageDefault: 50,
  pageMax: MAX_PAGE_ITEMS,
  unreadMax: 100,
  roomsPerConnection: 1_000,
  namesPerRoom: 100,
  roomsPerResume: MAX_ROOMS_PER_RESUME,
  chatsPerPacket: 100,
  waitingPerConnection: 1_000,
  waitingBytesPerConnection: 1024 * 1024,
  largeRoom: 200,
  retention: {},
  rates: {
    packets: { burst: 100, perSecond: 10 },
    resumes: { burst: 3_000, perSecond: 100 },
    signals: { burst: 50, perSecond: 5 },
    chats: { burst: 20, perSecond: 1 },
    joins: { burst: 20, perSecond: 2 },
    refusals: { burst: 200, perSecond: 20 },
    frames: { burst: 2_000, perSecond: 200 },
  },
  perAddress: {
    sockets: 300,
    requests: { burst: 5_000, perSecond: 500 },
    connections: 50,
    connects: { burst: 100, perSecond: 10 },
    packets: { burst: 1_000, perSecond: 100 },
    rooms: rateLimit(1_000, DAY_SECONDS),
    bytes: rateLimit(128 * MIB, HOUR_SECONDS),
    resumes: { burst: 10_000, perSecond: 250 },
    joins: { burst: 500, perSecond: 50 },
    roomJoins: { burst: 100, perSecond: 1 },
    membersPerRoom: 90,
    seats: 5_000,
    waitingBytes: 8 * 1024 * 1024,
    answerBytes: 16 * 1024 * 1024,
  },
  quotas: { roomsPerSession: 100, rooms: 100_000, roomBytes: GIB, totalBytes: 10 * GIB },
} as const satisfies Limits;
