// Reads the clock of the server from the Date header of an HTTP response.
// Chats carry the time of the server, and the local clock may be hours off.

const REQUEST_TIMEOUT_MS = 3_000;

/**
 * Milliseconds since 1970, at most a second late: a query from this time on returns at least what was meant. Any HTTP response
 * has the header, whatever its status. Falls back to the local clock.
 */
export async function fetchServerTime(server: string): Promise<number> {
  try {
    const { headers } = await fetch(server, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const at = Date.parse(headers.get('date') ?? '');
    return Number.isNaN(at) ? Date.now() : at;
  } catch {
    return Date.now();
  }
}
