/** The one way in: every TCP connection, HTTP request and upgrade is counted and checked here before anything answers it. */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Address, type Addresses, addressOf, setAddress } from './addresses.ts';
import type { Admission } from './admission.ts';
import type { ClientAddresses } from './forwarded.ts';
import { pages, type Readiness, sendPage } from './http.ts';
import { logFaults } from './http-faults.ts';
import { type HttpRefusal, methodRefusal, rateRefusal, refusals, refuseRequest, refuseUpgrade } from './http-refusals.ts';
import { parseIp } from './ip-address.ts';
import { unheard } from './lean.ts';
import type { RateLimitedLog } from './rate-limited-log.ts';
import type { RefusalLog } from './refusal-log.ts';
import { type Check, checksOf, SOCKET_IO, type Target, targetOf } from './request-checks.ts';

/** Milliseconds in which something of a response must be read. A poll waits for the next ping, which is half as long. */
const SILENCE_MS = 60_000;

/** Socket.IO's side of HTTP. */
interface Engine {
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface GateOptions {
  addresses: Addresses;
  clients: ClientAddresses;
  origins: readonly string[];
  /** What the paths of requests may begin with, as `/chat`. */
  path?: string | undefined;
  log: RateLimitedLog;
  logRefusal: RefusalLog;
  readiness: () => Readiness;
  /** Not there before the store is open. */
  chat?: { engine: Engine; admission: Admission };
}

/** A request or an upgrade. Each is answered in its own way. */
interface Asked {
  request: IncomingMessage;
  refuse: (refusal: HttpRefusal) => void;
  forward: (engine: Engine) => void;
}

export function guardHttp(http: Server, options: GateOptions): void {
  const gate = new HttpGate(options);
  http
    .on('connection', (socket: Socket) => gate.connect(socket))
    .on('request', (request, response) => gate.request(request, response))
    .on('checkExpectation', (request, response) => gate.request(request, response, refusals.expectation))
    .on('upgrade', (request, socket, head) => gate.upgrade(request, socket, head));
  logFaults(http, options.log);
}

class HttpGate {
  readonly #options: GateOptions;
  readonly #check: Check;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#check = checksOf(options.origins);
  }

  connect(socket: Socket): void {
    const { addresses, clients, log } = this.#options;
    const ip = parseIp(socket.remoteAddress ?? '');
    if (ip === undefined) return void socket.destroy();
    // It carries the requests of many clients.
    if (clients.isProxy(ip)) return;
    const address = addresses.of(ip);
    if (address.takeSocket()) {
      setAddress(socket, address);
      // A listener is 200 bytes that stay.
      if (address.countsSockets) socket.on('close', releaseSocket);
    } else {
      log.info({ address: address.name }, 'a TCP connection is refused: too_many_sockets');
      socket.destroy();
    }
  }

  request(request: IncomingMessage, response: ServerResponse, unmet?: HttpRefusal): void {
    const asked: Asked = {
      request,
      refuse: (refusal) => refuseRequest(request, response, refusal),
      forward: (engine) => engine.handleRequest(request, response),
    };
    request.socket.setTimeout(SILENCE_MS);
    const target = this.#admit(asked, unmet);
    const page = target && pages.get(target.path);
    if (page) sendPage(response, page(this.#options.readiness));
    else if (target) this.#ask(asked, target);
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', unheard);
    if (request.headers.upgrade?.toLowerCase() === 'websocket') this.#upgradeToWebSocket(request, socket, head);
    else this.#declineUpgrade(request, socket);
  }

  #upgradeToWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const asked: Asked = {
      request,
      refuse: (refusal) => refuseUpgrade(socket, refusal),
      forward: (engine) => engine.handleUpgrade(request, socket, head),
    };
    const target = this.#admit(asked, request.method === 'GET' ? undefined : methodRefusal('GET'));
    if (target?.path === SOCKET_IO) this.#ask(asked, target);
    else if (target) asked.refuse(refusals.notFound);
  }

  /**
   * Clients offer HTTP/2 by `Upgrade: h2c`, and proxies pass that on (see findings/upgrade-to-http2.sh): the request is answered
   * as if it offered nothing. Node gives it no response of its own, and reads nothing behind its head, so it has no body.
   */
  #declineUpgrade(request: IncomingMessage, socket: Duplex): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.on('finish', () => socket.end());
    socket.on('timeout', () => socket.destroy());
    this.request(request, response, request.method === 'POST' ? refusals.upgrade : undefined);
  }

  /** Counts and checks. Undefined when it was refused, or its client is gone. */
  #admit(asked: Asked, unmet?: HttpRefusal): Target | undefined {
    const { request } = asked;
    if (request.socket.destroyed) return undefined;
    const address = this.#addressOf(request);
    setAddress(request, address);
    const mayAsk = address.requests?.tryTake() ?? true;
    const target = mayAsk ? targetOf(request, this.#options.path) : undefined;
    const refusal = target ? (this.#check(request, target) ?? unmet) : rateRefusal();
    if (!refusal) return target;
    this.#refuse(asked, refusal);
    return undefined;
  }

  #addressOf(request: IncomingMessage): Address {
    return addressOf(request.socket) ?? this.#options.addresses.of(this.#options.clients.of(request));
  }

  /** Of Socket.IO: a handshake waits for its turn. */
  #ask(asked: Asked, { query }: Target): void {
    const { chat } = this.#options;
    // Engine.IO takes what is here for the query.
    (asked.request as IncomingMessage & { _query?: object })._query = query;
    if (!chat) this.#refuse(asked, refusals.notReady);
    else if (query.sid || asked.request.method !== 'GET') asked.forward(chat.engine);
    else void this.#shakeHands(asked, chat);
  }

  async #shakeHands(asked: Asked, { engine, admission }: NonNullable<GateOptions['chat']>): Promise<void> {
    const { request } = asked;
    const refusal = await admission.pass(addressOf(request) as Address);
    // Its client gave up meanwhile: a session would have nobody.
    if (request.socket.destroyed) return;
    if (refusal) this.#refuse(asked, refusal);
    else asked.forward(engine);
  }

  #refuse({ request, refuse }: Asked, refusal: HttpRefusal): void {
    this.#options.logRefusal(refusal.code, request);
    refuse(refusal);
  }
}

/** One function for all TCP connections, each `this` in its turn. */
function releaseSocket(this: Socket): void {
  addressOf(this)?.releaseSocket();
}
