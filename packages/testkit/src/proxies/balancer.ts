/** A TCP load balancer without sticky sessions: each connection goes to the next server that accepts it. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export async function startBalancer(ports: number[]): Promise<Balancer> {
  const balancer = new Balancer(ports);
  onTestFinished(() => balancer.close());
  await balancer.listen();
  return balancer;
}

export class Balancer {
  /** The ports of the servers, for new connections. */
  ports: number[];
  readonly #server = createServer((client) => this.#forward(client, this.ports.length));
  readonly #clients = new Set<Socket>();
  #nextIndex = 0;

  constructor(ports: number[]) {
    this.ports = ports;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  close(): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
  }

  #forward(client: Socket, attempts: number): void {
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client)).on('error', () => undefined);
    this.#nextIndex += 1;
    const server = createConnection(this.ports[this.#nextIndex % this.ports.length] as number, '127.0.0.1');
    const retryNext = () => (attempts > 1 ? this.#forward(client, attempts - 1) : client.resetAndDestroy());
    server.once('error', retryNext).once('connect', () => {
      server.off('error', retryNext).on('error', () => undefined);
      server.once('close', () => client.destroy());
      client.once('close', () => server.destroy());
      client.pipe(server).pipe(client);
    });
  }
}
