/** All limits of a server, with their default values. */
import { MAX_FRAME_BYTES, MAX_PAGE_ITEMS, MAX_ROOMS_PER_RESUME } from './bounds.ts';

/** A token bucket: `burst` at once, refilled at `perSecond`. */
export interface RateLimit {
  burst: number;
  perSecond: number;
}

/** The limits of one server. Every join response contains the limits in force. */
export interface Limits {
  /** Bytes of one frame or polling body. A larger frame closes its connection; a larger body is refused. */
  frameBytes: number;
  /** Unicode code points of a chat's text. */
  textCodePoints: number;
  /**
   * Bytes of a chat's text as JSON in UTF-8: four for each code point are always enough, except that a control character takes
   * six.
   */
  textBytes: number;
  /** Unicode code points of a room's topic. */
  topicCodePoints: number;
  /** Bytes of a room's topic as JSON in UTF-8. */
  topicBytes: number;
  /** UTF-8 bytes of a room id, a username or a client id. */
  idBytes: number;
  /** Nesting depth of arrays and objects in a payload. */
  jsonDepth: number;
  /** Values in a payload, on all levels together. */
  jsonValues: number;
  /** Different reactions on one chat. */
  reactionsPerChat: number;
  /** Default number of items of a page. */
  pageDefault: number;
  /** Largest number of items of a page. */
  pageMax: number;
  /** Largest count of unread chats: it means this many or more. */
  unreadMax: number;
  /** Rooms that one connection may join. */
  roomsPerConnection: number;
  /** Names that one connection may have in a room. */
  namesPerRoom: number;
  /** Rooms of one `resume:rooms`. */
  roomsPerResume: number;
  /** Chats of one `create:chats`. */
  chatsPerPacket: number;
  /** Commands of one connection that may wait for a response. */
  waitingPerConnection: number;
  /** Memory of queued commands of one connection, in bytes. */
  waitingBytesPerConnection: number;
  /**
   * Rooms with at least this many members are large: joins, leaves and presence are broadcast as counts; typing, too, once this
   * many members are connected.
   */
  largeRoom: number;
  /** Retention that applies to every room. An owner may choose a stricter one. */
  retention: Retention;
  /** How much may be stored. */
  quotas: Quotas;
  /** Rate limits; null if the operator removed them. */
  rates: RateLimits | null;
  perAddress: AddressLimits;
}

/** What is stored of a log. Entries beyond one of these limits are trimmed, oldest first; a missing field means no limit. */
export interface Retention {
  /** Milliseconds from the entry's `at`; older entries are trimmed. */
  maxAge?: number | undefined;
  /** Entries of any kind. */
  maxCount?: number | undefined;
  /** UTF-8 bytes of the bodies of the entries, as JSON. */
  maxBytes?: number | undefined;
}

export interface RateLimits {
  /** Packets of any kind without a rate of their own below, per connection. */
  packets: RateLimit;
  /**
   * Rooms that are resumed, or restored by session recovery, per connection. Each request counts one for each room, and one for
   * itself.
   */
  resumes: RateLimit;
  /** Typing, presence and read marks, per connection. */
  signals: RateLimit;
  /** Chats and edits, per author and room, over all connections to one server; null if the operator removed the limit. */
  chats: RateLimit | null;
  /** Rooms created or joined, per connection. */
  joins: RateLimit;
  /** Errors of any kind, per connection. With one more, the connection is closed. */
  refusals: RateLimit;
  /** Frames of any kind, per connection. A connection that sends more is closed. */
  frames: RateLimit;
}

/** What one network address may use. For IPv6 the /64 network counts. Null if the operator removed the limit. */
export interface AddressLimits {
  /** Concurrent TCP connections. A browser opens up to six for one client that polls. */
  sockets: number | null;
  /** HTTP requests. While no token is left, TCP connections are refused, too. */
  requests: RateLimit | null;
  /** Concurrent connections. */
  connections: number | null;
  /** New connections. */
  connects: RateLimit | null;
  /** Packets of any kind except requests to resume. */
  packets: RateLimit | null;
  /** Rooms that are created. */
  rooms: RateLimit | null;
  /** Bytes that are added to rooms, as they are stored: names and ids count several times. */
  bytes: RateLimit | null;
  /** Rooms that are resumed, or restored by session recovery. */
  resumes: RateLimit | null;
  /** Rooms created or joined, and names that are added to any one room. */
  joins: RateLimit | null;
  roomJoins: RateLimit | null;
  /** Names that its connections have in any one room: fewer than half of what makes a room large. */
  membersPerRoom: number | null;
  /** Rooms of its connections; each counts once for each connection in it. */
  memberships: number | null;
  /** Memory of queued requests of its connections, in bytes. */
  waitingBytes: number | null;
  /** Bytes of large responses that are being built or are not read yet. Further ones wait. */
  responseBytes: number | null;
}

/**
 * How much may be stored. A request that would exceed a quota is refused as `quota_exceeded`; null if the operator removed it.
 */
export interface Quotas {
  /** Rooms that one session may own. */
  roomsPerSession: number | null;
  /** Rooms of the server. */
  rooms: number | null;
  /** UTF-8 bytes of the bodies of one room's entries, as JSON. */
  roomBytes: number | null;
  /** Bytes that all rooms together take in the store. */
  totalBytes: number | null;
}

export const DAY_SECONDS = 86_400;
export const HOUR_SECONDS = 3_600;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A rate of `count` at once, and the same number again in `seconds`. */
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
    memberships: 5_000,
    waitingBytes: 8 * 1024 * 1024,
    responseBytes: 16 * 1024 * 1024,
  },
  quotas: { roomsPerSession: 100, rooms: 100_000, roomBytes: GIB, totalBytes: 10 * GIB },
} as const satisfies Limits;
