/** Computes the limits that a server enforces from its settings. */
import {
  type AddressLimits,
  DAY_SECONDS,
  HOUR_SECONDS,
  LIMITS,
  type Limits,
  type Quotas,
  type RateLimit,
  type Retention,
  rateLimit,
} from '@engawa/protocol';
import { UNLIMITED } from '../limits/address-limiter.ts';
import type { Settings } from './settings.ts';

/** A missing setting means its default, 0 means no limit. */
type PartialSettings = Partial<Settings>;

export function limitsFromSettings(settings: PartialSettings): Limits {
  const isOff = settings.rateLimits === 'off';
  return {
    ...LIMITS,
    largeRoom: settings.largeRoomThreshold ?? LIMITS.largeRoom,
    retention: retentionFromSettings(settings),
    quotas: quotasFromSettings(settings),
    rates: isOff ? null : { ...LIMITS.rates, chats: ratePerSecond(settings.chatRate, LIMITS.rates.chats) },
    perAddress: isOff ? UNLIMITED : addressLimitsFromSettings(settings),
  };
}

/** The retention that applies to every room. */
export const retentionFromSettings = (settings: PartialSettings): Retention => ({
  maxAge: settings.retentionMaxAge,
  maxCount: settings.retentionMaxCount,
  maxBytes: settings.retentionMaxBytes,
});

/** The quotas of stored data. */
function quotasFromSettings(settings: PartialSettings): Quotas {
  const defaults = LIMITS.quotas;
  return {
    roomsPerSession: countLimit(settings.quotaRoomsPerSession, settings.rateLimits === 'off' ? 0 : defaults.roomsPerSession),
    rooms: countLimit(settings.quotaRooms, defaults.rooms),
    roomBytes: countLimit(settings.quotaRoomBytes, defaults.roomBytes),
    totalBytes: countLimit(settings.quotaTotalBytes, defaults.totalBytes),
  };
}

function addressLimitsFromSettings(settings: PartialSettings): AddressLimits {
  const defaults = LIMITS.perAddress;
  return {
    sockets: countLimit(settings.socketsPerAddress, defaults.sockets),
    requests: ratePerSecond(settings.requestRatePerAddress, defaults.requests),
    connections: countLimit(settings.connectionsPerAddress, defaults.connections),
    connects: ratePerSecond(settings.connectionRatePerAddress, defaults.connects),
    packets: ratePerSecond(settings.packetRatePerAddress, defaults.packets),
    rooms: ratePerPeriod(DAY_SECONDS, settings.roomsPerAddress, defaults.rooms),
    bytes: ratePerPeriod(HOUR_SECONDS, settings.bytesPerAddress, defaults.bytes),
    resumes: ratePerSecond(settings.resumeRatePerAddress, defaults.resumes),
    joins: ratePerSecond(settings.joinRatePerAddress, defaults.joins),
    roomJoins: ratePerSecond(settings.roomJoinRatePerAddress, defaults.roomJoins),
    membersPerRoom: countLimit(settings.roomNamesPerAddress, defaults.membersPerRoom),
    memberships: countLimit(settings.membershipsPerAddress, defaults.memberships),
    waitingBytes: countLimit(settings.queuedBytesPerAddress, defaults.waitingBytes),
    responseBytes: countLimit(settings.responseBytesPerAddress, defaults.responseBytes),
  };
}

const countLimit = (value: number | undefined, defaultValue: number): number | null => (value ?? defaultValue) || null;

function ratePerPeriod(seconds: number, value: number | undefined, defaultRate: RateLimit): RateLimit | null {
  if (value === undefined) return defaultRate;
  return value === 0 ? null : rateLimit(value, seconds);
}

/** The burst lasts as many seconds as the default one. It is at least 1: with a smaller burst no request would ever pass. */
function ratePerSecond(value: number | undefined, defaultRate: RateLimit): RateLimit | null {
  if (value === undefined) return defaultRate;
  return value === 0 ? null : { burst: Math.max(1, (defaultRate.burst / defaultRate.perSecond) * value), perSecond: value };
}
