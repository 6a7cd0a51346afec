/** Handles failures below HTTP: unreadable requests, timeouts, and dropped connections. */
import type { Server } from 'node:http';
import type { DropArgument, Socket } from 'node:net';
import { addressLimiterOf } from '../limits/address-limiter.ts';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';

const STATUS_LINES: Record<string, string> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
};
/** Errors of disconnected clients, and of requests behind a refused one. */
const EXPECTED_CODES = new Set(['ECONNRESET', 'EPIPE', 'HPE_PAUSED_UPGRADE']);

export function handleHttpFaults(http: Server, log: RateLimitedLog): void {
  http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const { code = '' } = error;
    // Browsers open spare connections that they may not use.
    if ((socket as Socket).bytesRead === 0) return void socket.destroy();
    const address = addressLimiterOf(socket);
    if (!EXPECTED_CODES.has(code)) {
      address?.requests?.tryTake();
      log.info({ code, address: address?.name }, 'a request was ended because it could not be read');
    }
    respondIfUnanswered(socket as Socket, STATUS_LINES[code] ?? '400 Bad Request');
  });
  http.on('drop', (dropped?: DropArgument) => {
    const fields = { address: dropped?.remoteAddress, connections: http.maxConnections };
    log.warn(fields, 'a connection is dropped: all file descriptors for connections are in use');
  });
  http.on('error', (error) => {
    if (http.listening) log.error({ err: error }, 'a connection could not be accepted');
  });
}

/** Only if no response was written before: the error could end up inside another response. */
function respondIfUnanswered(socket: Socket, status: string): void {
  if (socket.writable && socket.bytesWritten === 0) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  socket.destroy();
}
