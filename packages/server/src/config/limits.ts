/** What a server allows, from its settings. */
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

/** What is not set has its default, 0 is no limit. */
type PartialSettings = Partial<Settings>;

export function limitsFromSettings(settings: PartialSettings): Limits {
  const isOff = settings.limits === 'off';
  return {
    ...LIMITS,
    largeRoom: settings.largeRoom ?? LIMITS.largeRoom,
    retention: retentionFromSettings(settings),
    quotas: quotasFromSettings(settings),
    rates: isOff ? null : { ...LIMITS.rates, chats: ratePerSecond(settings.chatRate, LIMITS.rates.chats) },
    perAddress: isOff ? UNLIMITED : addressLimitsFromSettings(settings),
  };
}

/** What is kept of any room at most. */
export const retentionFromSettings = ({ maxAge, maxCount, maxBytes }: PartialSettings): Retention => ({ maxAge, maxCount, maxBytes });

/** How much may be kept. */
function quotasFromSettings(settings: PartialSettings): Quotas {
  const defaults = LIMITS.quotas;
  return {
    roomsPerSession: countLimit(settings.quotaRoomsPerSession, settings.limits === 'off' ? 0 : defaults.roomsPerSession),
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
    seats: countLimit(settings.seatsPerAddress, defaults.seats),
    waitingBytes: countLimit(settings.queuedBytesPerAddress, defaults.waitingBytes),
    answerBytes: countLimit(settings.answerBytesPerAddress, defaults.answerBytes),
  };
}

const countLimit = (value: number | undefined, defaultValue: number): number | null => (value ?? defaultValue) || null;

function ratePerPeriod(seconds: number, value: number | undefined, defaultRate: RateLimit): RateLimit | null {
  if (value === undefined) return defaultRate;
  return value === 0 ? null : rateLimit(value, seconds);
}

/** As many seconds of it at once as by default; of less than one a burst nothing would ever pass. */
function ratePerSecond(value: number | undefined, defaultRate: RateLimit): RateLimit | null {
  if (value === undefined) return defaultRate;
  return value === 0 ? null : { burst: Math.max(1, (defaultRate.burst / defaultRate.perSecond) * value), perSecond: value };
}
