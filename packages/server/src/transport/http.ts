import type { IncomingMessage, ServerResponse } from 'node:http';

const WELCOME = `Engawa is running.

Talk to it from a terminal:       npx engawa chat lobby --as you --server <this address>
or with any Socket.IO client:     io('<this address>').emit('add:member', { roomId: 'lobby', username: 'you' })
`;

export interface Readiness {
  /** Whether users may be sent here. */
  ready: boolean;
  /** Milliseconds by which news of other nodes come late. */
  lag: number;
}

/** Everything over HTTP that is not Socket.IO's: is the process alive, may it be sent users, what is this. */
export function answerHttp(request: IncomingMessage, response: ServerResponse, readiness: () => Readiness): void {
  const [path] = (request.url ?? '/').split('?');
  if (path === '/health') send(response, 200, 'application/json', '{"status":"ok"}');
  else if (path === '/ready') send(response, readiness().ready ? 200 : 503, 'application/json', JSON.stringify(readiness()));
  else if (path === '/') send(response, 200, 'text/plain; charset=utf-8', WELCOME);
  else send(response, 404, 'application/json', '{"error":"not_found"}');
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
