/** A stub of a server, which sends what no real server would. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LIMITS } from '@engawa/protocol';
import { Server } from 'socket.io';
import { onTestFinished } from 'vitest';

interface StubServer {
  url: string;
  /** From now on every client is refused with an error. */
  refuseConnections: (error: object) => void;
}

/** Answers every request as configured, on a free port; ends with the test. */
export async function startStubServer(answerTo: (event: string) => object): Promise<StubServer> {
  const http = createServer();
  const server = new Server(http);
  server.on('connection', (peer) => {
    peer.onAny((event: string, _: object, acknowledge?: (answered: object) => void) =>
      acknowledge?.({ limits: LIMITS, ...answerTo(event) }),
    );
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    refuseConnections: (error) => void server.use((_, next) => next(Object.assign(new Error('shut'), { data: error }))),
  };
}
