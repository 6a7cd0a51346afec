/** The gate of the HTTP server: every TCP connection, request and upgrade is counted and checked here. */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type AddressLimiter, type AddressLimiterRegistry, addressLimiterOf, setAddressLimiter } from '../limits/address-limiter.ts';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';
import type { ClientIpResolver } from '../network/client-ip-resolver.ts';
import { parseIp } from '../network/ip-address.ts';
import type { HandshakeGate } from './handshake-gate.ts';
import { handleHttpFaults } from './http-errors.ts';
import { type HttpRefusal, methodRefusal, rateRefusal, refusals, refuseRequest, refuseUpgrade } from './http-refusals.ts';
import type { RefusalLog } from './refusal-log.ts';
import { createRequestCheck, parseTarget, type RequestCheck, type RequestTarget, SOCKET_IO_PATH } from './request-checks.ts';
import { pages, type Readiness, sendPage } from './routes.ts';

/**
 * Milliseconds in which the client must read part of a response. A polling request waits for the next ping, which takes half as
 * long.
 */
const SOCKET_TIMEOUT_MS = 60_000;

/** Until an upgrade completes nothing else handles 'error' on its socket, and an unhandled ECONNRESET would end the process. */
export const ignoreError = (): void => undefined;

/** The part of Engine.IO that handles HTTP. */
interface Engine {
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HttpGateOptions {
  limiters: AddressLimiterRegistry;
  ipResolver: ClientIpResolver;
  allowedOrigins: readonly string[];
  /** Optional prefix of request paths, like `/chat`. */
  path?: string | undefined;
  log: RateLimitedLog;
  logRefusal: RefusalLog;
  readiness: () => Readiness;
  /** Undefined until the store is open. */
  chat?: { engine: Engine; admission: HandshakeGate };
}

/** A request or an upgrade, and how to refuse or forward it. */
interface GateRequest {
  request: IncomingMessage;
  refuse: (refusal: HttpRefusal) => void;
  forward: (engine: Engine) => void;
}

export function installHttpGate(http: Server, options: HttpGateOptions): void {
  const gate = new HttpGate(options);
  http
    .on('connection', (socket: Socket) => gate.connect(socket))
    .on('request', (request, response) => gate.request(request, response))
    .on('checkExpectation', (request, response) => gate.request(request, response, refusals.expectation))
    .on('upgrade', (request, socket, head) => gate.upgrade(request, socket, head));
  handleHttpFaults(http, options.log);
}

class HttpGate {
  readonly #options: HttpGateOptions;
  readonly #check: RequestCheck;

  constructor(options: HttpGateOptions) {
    this.#options = options;
    this.#check = createRequestCheck(options.allowedOrigins);
  }

  connect(socket: Socket): void {
    const { limiters, ipResolver, log } = this.#options;
    const ip = parseIp(socket.remoteAddress ?? '');
    if (ip === undefined) return void socket.destroy();
    // A proxy's connection carries the requests of many clients.
    if (ipResolver.isProxy(ip)) return;
    const address = limiters.get(ip);
    if (address.tryTakeSocket()) {
      setAddressLimiter(socket, address);
      // Added only if it is needed: a listener takes 200 bytes for the whole connection.
      if (address.hasSocketLimit) socket.on('close', releaseSocket);
    } else {
      log.info({ address: address.name }, 'a TCP connection is refused: too_many_sockets');
      socket.destroy();
    }
  }

  request(request: IncomingMessage, response: ServerResponse, presetRefusal?: HttpRefusal): void {
    const gateRequest: GateRequest = {
      request,
      refuse: (refusal) => refuseRequest(request, response, refusal),
      forward: (engine) => engine.handleRequest(request, response),
    };
    request.socket.setTimeout(SOCKET_TIMEOUT_MS);
    const target = this.#admit(gateRequest, presetRefusal);
    const page = target && pages.get(target.path);
    if (page) sendPage(response, page(this.#options.readiness));
    else if (target) this.#forwardToEngine(gateRequest, target);
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', ignoreError);
    if (request.headers.upgrade?.toLowerCase() === 'websocket') this.#upgradeToWebSocket(request, socket, head);
    else this.#declineUpgrade(request, socket);
  }

  #upgradeToWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const gateRequest: GateRequest = {
      request,
      refuse: (refusal) => refuseUpgrade(socket, refusal),
      forward: (engine) => engine.handleUpgrade(request, socket, head),
    };
    const target = this.#admit(gateRequest, request.method === 'GET' ? undefined : methodRefusal('GET'));
    if (target?.path === SOCKET_IO_PATH) this.#forwardToEngine(gateRequest, target);
    else if (target) gateRequest.refuse(refusals.notFound);
  }

  /**
   * Clients offer HTTP/2 by `Upgrade: h2c`, and proxies pass that on (see findings/upgrade-to-http2.sh): the request is answered
   * as if there were no offer. Node creates no response for it and reads nothing after its head, so it has no body.
   */
  #declineUpgrade(request: IncomingMessage, socket: Duplex): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.on('finish', () => socket.end());
    socket.on('timeout', () => socket.destroy());
    this.request(request, response, request.method === 'POST' ? refusals.upgrade : undefined);
  }

  /** Counts and checks a request. Undefined if it was refused, or its client is disconnected. */
  #admit(gateRequest: GateRequest, presetRefusal?: HttpRefusal): RequestTarget | undefined {
    const { request } = gateRequest;
    if (request.socket.destroyed) return undefined;
    const address = this.#limiterOf(request);
    setAddressLimiter(request, address);
    const isWithinRate = address.requests?.tryTake() ?? true;
    const target = isWithinRate ? parseTarget(request, this.#options.path) : undefined;
    const refusal = target ? (this.#check(request, target) ?? presetRefusal) : rateRefusal();
    if (!refusal) return target;
    this.#refuse(gateRequest, refusal);
    return undefined;
  }

  #limiterOf(request: IncomingMessage): AddressLimiter {
    return addressLimiterOf(request.socket) ?? this.#options.limiters.get(this.#options.ipResolver.resolve(request));
  }

  /** Forwards a request of Socket.IO; a handshake passes the admission queue first. */
  #forwardToEngine(gateRequest: GateRequest, { query }: RequestTarget): void {
    const { chat } = this.#options;
    // Engine.IO uses this field as the parsed query.
    (gateRequest.request as IncomingMessage & { _query?: object })._query = query;
    if (!chat) this.#refuse(gateRequest, refusals.notReady);
    else if (query.sid || gateRequest.request.method !== 'GET') gateRequest.forward(chat.engine);
    else void this.#admitHandshake(gateRequest, chat);
  }

  async #admitHandshake(gateRequest: GateRequest, { engine, admission }: NonNullable<HttpGateOptions['chat']>): Promise<void> {
    const { request } = gateRequest;
    const refusal = await admission.admit(addressLimiterOf(request) as AddressLimiter);
    // The client disconnected meanwhile: no session may be created for it.
    if (request.socket.destroyed) return;
    if (refusal) this.#refuse(gateRequest, refusal);
    else gateRequest.forward(engine);
  }

  #refuse({ request, refuse }: GateRequest, refusal: HttpRefusal): void {
    this.#options.logRefusal(refusal.code, request);
    refuse(refusal);
  }
}

/** A shared listener without a closure; `this` is the TCP connection. */
function releaseSocket(this: Socket): void {
  addressLimiterOf(this)?.releaseSocket();
}
