// A session of a fuzz case over HTTP long-polling.
import { LIMITS } from '@engawa/protocol';
import { deferred } from '../../generator/deferred.ts';
import { ConnectionClosed, type Target } from '../../generator/socketio-client.ts';
import { type HttpRequest, type HttpResponse, httpRequest } from '../http-client.ts';
import type { Packet } from './packet.ts';
import type { Session } from './session.ts';

const POLLING = '/socket.io/?EIO=4&transport=polling';
const SEPARATOR = '\x1e';
const DISCONNECT = '41';
/** The Engine.IO packet that ends the session. */
const CLOSE = '1';

/** The path of a new Engine.IO session. Rejects if it is refused. */
export async function openEngine(target: Target, localAddress: string): Promise<string> {
  const { status, body } = await request(target, { path: POLLING, localAddress });
  if (status !== 200) throw new ConnectionClosed(`refused with ${status}`);
  return `${POLLING}&sid=${(JSON.parse(body.slice(1)) as { sid: string }).sid}`;
}

const post = (target: Target, options: HttpRequest): Promise<HttpResponse> => request(target, { ...options, method: 'POST' });

/** A response with a server error is a fault, whatever the request was. */
export class ServerFault extends Error {
  override readonly name = 'ServerFault';
}

async function request(target: Target, options: HttpRequest): Promise<HttpResponse> {
  const response = await httpRequest(target, options);
  if (response.status >= 500 && response.status !== 503)
    throw new ServerFault(`${options.method ?? 'GET'} was answered ${response.status}`);
  return response;
}

export async function openPolling(target: Target, localAddress: string): Promise<Session> {
  const session = new PollingSession(target, { path: await openEngine(target, localAddress), localAddress });
  void session.poll();
  return session;
}

class PollingSession implements Session {
  onAck: (id: number) => void = () => undefined;
  readonly closed: Promise<unknown>;
  readonly #target: Target;
  readonly #where: { path: string; localAddress: string };
  readonly #closed = deferred<undefined>();
  readonly #connected = deferred<{ pid?: string }>();
  readonly #pending = new Map<number, ReturnType<typeof deferred<never>>>();
  #isClosed = false;
  #lastId = 0;
  #offset: string | undefined;

  constructor(target: Target, where: { path: string; localAddress: string }) {
    this.#target = target;
    this.#where = where;
    this.closed = this.#closed.promise;
  }

  readonly isClosed = (): boolean => this.#isClosed;
  readonly offset = (): string | undefined => this.#offset;

  /** Polls until the server ends the session. */
  async poll(): Promise<void> {
    while (!this.#isClosed) {
      const { status, body } = await request(this.#target, this.#where).catch(() => ({ status: 0, body: '' }));
      if (status !== 200) break;
      for (const packet of body.split(SEPARATOR)) await this.#receive(packet);
    }
    this.#close();
  }

  async connect(auth: object): Promise<{ pid?: string }> {
    await this.#post(`40${JSON.stringify(auth)}`);
    return this.#connected.promise;
  }

  async ask({ event, payload }: { event: string; payload: unknown }): Promise<never> {
    this.#lastId += 1;
    const answer = deferred<never>();
    this.#pending.set(this.#lastId, answer);
    await this.#post(`42${this.#lastId}${JSON.stringify([event, payload])}`);
    return answer.promise;
  }

  async sendAll(packets: readonly Packet[], batch: number): Promise<void> {
    let body: string[] = [];
    const flush = async (): Promise<void> => {
      if (body.length > 0 && !this.#isClosed) await this.#post(body.join(SEPARATOR));
      body = [];
    };
    for (const packet of packets.map(encode)) {
      if (body.length === batch || Buffer.byteLength(body.join(SEPARATOR)) + Buffer.byteLength(packet) >= LIMITS.frameBytes) await flush();
      body.push(packet);
    }
    await flush();
  }

  end(ending: string): void {
    if (!this.#isClosed) void this.#post(ending === 'disconnect' ? DISCONNECT + SEPARATOR + CLOSE : CLOSE).catch(() => undefined);
    this.#isClosed = true;
  }

  /** A rejected body ends the session, except one that was too large: then the client ends it. */
  async #post(body: string): Promise<void> {
    const { status } = await post(this.#target, { ...this.#where, body });
    if (status === 413) await post(this.#target, { ...this.#where, body: CLOSE });
    if (status !== 200) this.#close();
  }

  async #receive(packet: string): Promise<void> {
    if (packet === '2') await this.#post('3');
    else if (packet.startsWith('43')) this.#acknowledge(packet);
    else if (packet.startsWith('42')) this.#offset = /,"(\d{1,16})"\]$/.exec(packet)?.[1] ?? this.#offset;
    else if (packet.startsWith('44')) this.#connected.reject(new Error(packet));
    else if (packet.startsWith('40{')) this.#connected.resolve(JSON.parse(packet.slice(2)) as { pid?: string });
    else if (packet.startsWith('41')) this.#close();
  }

  #acknowledge(packet: string): void {
    const bracket = packet.indexOf('[');
    const id = Number(packet.slice(2, bracket));
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending) pending.resolve((JSON.parse(packet.slice(bracket)) as [never])[0]);
    else this.onAck(id);
  }

  #close(): void {
    this.#isClosed = true;
    this.#closed.resolve(undefined);
    const error = new ConnectionClosed('the session has ended');
    this.#connected.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

const encode = ({ data }: Packet): string => (typeof data === 'string' ? data : `b${data.toString('base64')}`);
