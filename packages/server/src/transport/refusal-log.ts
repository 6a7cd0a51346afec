/** Tells the operator what is refused, and to which address: of each kind the first, then how many. */
import type { IncomingMessage } from 'node:http';
import { addressOf } from './addresses.ts';
import type { ClientAddresses } from './forwarded.ts';
import type { RateLimitedLog } from './rate-limited-log.ts';

/** Characters of a path that are written. */
const SHOWN = 100;
/** Scanners ask for a lot that is not here. */
const EXPECTED = 'not_found';
const OF_ADDRESS = new Set(['rate_limited', 'too_many_connections']);

/** The code is from a fixed set. */
export type RefusalLog = (code: string, request: IncomingMessage) => void;

export function refusalLog(log: RateLimitedLog, clients: ClientAddresses): RefusalLog {
  let hasWarned = false;
  return (code, request) => {
    const fields = { address: addressOf(request)?.name, path: request.url?.slice(0, SHOWN) };
    log[code === EXPECTED ? 'debug' : 'info'](fields, `a request is refused: ${code}`);
    if (hasWarned || !OF_ADDRESS.has(code) || !clients.isUnknownProxy(request)) return;
    hasWarned = true;
    log.warn({}, 'connections that come through a proxy are refused as if from one address: set ENGAWA_TRUSTED_PROXIES');
  };
}
