import type { IncomingMessage, ServerResponse } from 'node:http';

const WELCOME = `Engawa is running.

Talk to it from a terminal:       npx engawa chat lobby --as you --server <this address>
or with any Socket.IO client:     io('<this address>').emit('add:member', { roomId: 'lobby', username: 'you' })
`;

/** Everything over HTTP that is not Socket.IO's: is the process alive, may it be sent users, what is this. */
export function answerHttp(request: IncomingMessage, response: ServerResponse, isReady: () => boolean): void {
  const [path] = (request.url ?? '/').split('?');
  if (path === '/health') send(response, 200, 'application/json', '{"status":"ok"}');
  else if (path === '/ready') send(response, isReady() ? 200 : 503, 'application/json', JSON.stringify({ ready: isReady() }));
  else if (path === '/') send(response, 200, 'text/plain; charset=utf-8', WELCOME);
  else send(response, 404, 'application/json', '{"error":"not_found"}');
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
