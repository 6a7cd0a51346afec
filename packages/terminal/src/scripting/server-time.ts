/** What time it is for a server: the clock here may be hours off, and chats have the times of the server's. */

const REQUEST_TIMEOUT_MS = 3_000;

/**
 * Milliseconds since 1970, at most a second late: so what is asked for since then is at least what was meant. Any answer over
 * HTTP has the time, whatever its status. Where none can be had it is the time here.
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
