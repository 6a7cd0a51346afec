/** Logs refused requests with their address, at a limited rate. */
import type { IncomingMessage } from 'node:http';
import { addressLimiterOf } from '../limits/address-limiter.ts';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';
import type { ClientIpResolver } from '../network/client-ip-resolver.ts';

/** Characters of a path that are logged. */
const MAX_LOGGED_CHARS = 100;
/** Not logged: scanners request many paths that do not exist. */
const DEBUG_CODE = 'not_found';
const ADDRESS_LIMIT_CODES = new Set(['rate_limited', 'too_many_connections']);

/** The code is from a fixed set. */
export type RefusalLog = (code: string, request: IncomingMessage) => void;

export function createRefusalLog(log: RateLimitedLog, ipResolver: ClientIpResolver): RefusalLog {
  let hasWarned = false;
  return (code, request) => {
    const fields = { address: addressLimiterOf(request)?.name, path: request.url?.slice(0, MAX_LOGGED_CHARS) };
    log[code === DEBUG_CODE ? 'debug' : 'info'](fields, `a request is refused: ${code}`);
    if (hasWarned || !ADDRESS_LIMIT_CODES.has(code) || !ipResolver.isUntrustedProxy(request)) return;
    hasWarned = true;
    log.warn({}, 'connections that come through a proxy are refused as if from one address: set ENGAWA_TRUSTED_PROXIES');
  };
}
