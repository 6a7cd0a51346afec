// HTTP requests and raw TCP connections that report refusals instead of throwing.
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Target } from '../generator/socketio-client.ts';

export interface HttpRequest {
  path: string;
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
  localAddress?: string;
}

export interface HttpResponse {
  /** 0 if the connection ended before a response. */
  status: number;
  body: string;
}

const NO_RESPONSE: HttpResponse = { status: 0, body: '' };
/** Shared by all requests of the process; it pools connections by source address. */
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

export function httpRequest(
  target: Target,
  { path, method = 'GET', headers = {}, body, localAddress }: HttpRequest,
): Promise<HttpResponse> {
  return new Promise((resolve) => {
    const fail = (): void => resolve(NO_RESPONSE);
    const options = { ...target, path, method, headers, agent, ...(localAddress !== undefined && { localAddress }) };
    request(options, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), fail);
    })
      .on('error', fail)
      .end(body);
  });
}

/** Resolves when the connection is open or has failed. It may fail at any later time. */
export function openTcp({ host, port }: Target, localAddress?: string): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket)).once('close', () => resolve(socket));
  });
}
