/** The HTTP pages: welcome, health and readiness. */
import type { ServerResponse } from 'node:http';

const WELCOME = `Engawa is running.

Talk to it from a terminal:       npx engawa chat lobby --as you --server <this address>
or with any Socket.IO client:     io('<this address>').emit('add:member', { roomId: 'lobby', username: 'you' })
`;

export interface Readiness {
  /** Whether a load balancer may send users to this node. */
  ready: boolean;
  /** Milliseconds by which notifications of other nodes are delayed. */
  lag: number;
}

interface Page {
  status: number;
  type: string;
  body: string;
}

const json = (status: number, value: object): Page => ({ status, type: 'application/json', body: JSON.stringify(value) });

/** The pages by path. */
export const pages = new Map<string, (readiness: () => Readiness) => Page>([
  ['/', () => ({ status: 200, type: 'text/plain; charset=utf-8', body: WELCOME })],
  ['/health', () => json(200, { status: 'ok' })],
  ['/ready', (readiness) => json(readiness().ready ? 200 : 503, readiness())],
]);

export function sendPage(response: ServerResponse, { status, type, body }: Page): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }).end(body);
}
