/** What a server allows, from its settings. */
import {
  type AddressLimits,
  DAY_SECONDS,
  HOUR_SECONDS,
  LIMITS,
  type Limits,
  type Quotas,
  type Rate,
  type Retention,
  rateOf,
} from '@engawa/protocol';
import type { Settings } from './settings.ts';
import { UNLIMITED } from './transport/addresses.ts';

/** What is not set has its default, 0 is no limit. */
type Given = Partial<Settings>;

export function limitsIn(settings: Given): Limits {
  const isOff = settings.limits === 'off';
  return {
    ...LIMITS,
    largeRoom: settings.largeRoom ?? LIMITS.largeRoom,
    retention: retentionIn(settings),
    quotas: quotasIn(settings),
    rates: isOff ? null : { ...LIMITS.rates, chats: perSecond(settings.chatRate, LIMITS.rates.chats) },
    perAddress: isOff ? UNLIMITED : addressLimitsIn(settings),
  };
}

/** What is kept of any room at most. */
export const retentionIn = ({ maxAge, maxCount, maxBytes }: Given): Retention => ({ maxAge, maxCount, maxBytes });

/** How much may be kept. */
function quotasIn(settings: Given): Quotas {
  const usual = LIMITS.quotas;
  return {
    roomsPerSession: count(settings.quotaRoomsPerSession, settings.limits === 'off' ? 0 : usual.roomsPerSession),
    rooms: count(settings.quotaRooms, usual.rooms),
    roomBytes: count(settings.quotaRoomBytes, usual.roomBytes),
    totalBytes: count(settings.quotaTotalBytes, usual.totalBytes),
  };
}

function addressLimitsIn(settings: Given): AddressLimits {
  const usual = LIMITS.perAddress;
  return {
    sockets: count(settings.socketsPerAddress, usual.sockets),
    requests: perSecond(settings.requestRatePerAddress, usual.requests),
    connections: count(settings.connectionsPerAddress, usual.connections),
    connects: perSecond(settings.connectionRatePerAddress, usual.connects),
    packets: perSecond(settings.packetRatePerAddress, usual.packets),
    rooms: inTime(DAY_SECONDS, settings.roomsPerAddress, usual.rooms),
    bytes: inTime(HOUR_SECONDS, settings.bytesPerAddress, usual.bytes),
    resumes: perSecond(settings.resumeRatePerAddress, usual.resumes),
    joins: perSecond(settings.joinRatePerAddress, usual.joins),
    roomJoins: perSecond(settings.roomJoinRatePerAddress, usual.roomJoins),
    membersPerRoom: count(settings.roomNamesPerAddress, usual.membersPerRoom),
    seats: count(settings.seatsPerAddress, usual.seats),
    waitingBytes: count(settings.queuedBytesPerAddress, usual.waitingBytes),
    answerBytes: count(settings.answerBytesPerAddress, usual.answerBytes),
  };
}

const count = (given: number | undefined, usual: number): number | null => (given ?? usual) || null;

function inTime(seconds: number, given: number | undefined, usual: Rate): Rate | null {
  if (given === undefined) return usual;
  return given === 0 ? null : rateOf(given, seconds);
}

/** As many seconds of it at once as by default; of less than one a burst nothing would ever pass. */
function perSecond(given: number | undefined, usual: Rate): Rate | null {
  if (given === undefined) return usual;
  return given === 0 ? null : { burst: Math.max(1, (usual.burst / usual.perSecond) * given), perSecond: given };
}
