// HTTP paths and requests that several attacks share.
import type { AttackContext } from './attack.ts';

export const ORIGIN = 'https://chat.example.org';
export const POLLING = '/socket.io/?EIO=4&transport=polling';
export const WEBSOCKET_KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
export const WEBSOCKET_VERSION = 'Sec-WebSocket-Version: 13';

export const upgradeRequest = (lines: readonly string[]): string =>
  [
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    ...lines,
    '\r\n',
  ].join('\r\n');

/** The path of a new polling session; undefined if it is refused. */
export async function pollingSession(context: AttackContext): Promise<string | undefined> {
  const { status, body } = await context.http({ path: POLLING });
  return status === 200 ? `${POLLING}&sid=${(JSON.parse(body.slice(1)) as { sid: string }).sid}` : undefined;
}
