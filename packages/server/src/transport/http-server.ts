/** The HTTP server of a node: what it counts and checks, and how long it waits for clients that do not go on. */
import { createServer, type Server } from 'node:http';
import type { AddressLimits } from '@engawa/protocol';
import { Addresses } from './addresses.ts';
import { ClientAddresses, type TrustedProxies } from './forwarded.ts';
import { type GateOptions, guardHttp } from './http-gate.ts';
import { mostConnections } from './open-files.ts';
import { type RefusalLog, refusalLog } from './refusal-log.ts';

/** Milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
/** A body has 64 KiB at most. */
const REQUEST_TIMEOUT_MS = 30_000;
const CHECK_EVERY_MS = 1_000;
/** Longer than proxies keep their connections, or they would ask on one that is just being closed. */
const KEEP_ALIVE_MS = 65_000;

interface HttpServerOptions extends Pick<GateOptions, 'origins' | 'path' | 'log' | 'readiness' | 'chat'> {
  perAddress: AddressLimits;
  trustedProxies: TrustedProxies;
  /** Networks without limits per address. */
  limitsExempt?: readonly string[];
}

export interface HttpServer {
  http: Server;
  logRefusal: RefusalLog;
  /** Resolves when every connection has ended. Those that stay whatever they are told are cut after `linger` milliseconds. */
  close(linger: number): Promise<void>;
}

export function createHttpServer({ perAddress, trustedProxies, limitsExempt, ...options }: HttpServerOptions): HttpServer {
  const clients = new ClientAddresses(trustedProxies);
  const addresses = new Addresses({ limits: perAddress, exempt: limitsExempt });
  const logRefusal = refusalLog(options.log, clients);
  const http = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_EVERY_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The gate looks after it, so that such a request counts like any other.
    requireHostHeader: false,
  });
  const most = mostConnections();
  if (most !== undefined) http.maxConnections = most;
  guardHttp(http, { ...options, clients, addresses, logRefusal });
  return {
    http,
    logRefusal,
    async close(linger) {
      addresses.close();
      if (!http.listening) return;
      const lingering = setTimeout(() => http.closeAllConnections(), linger);
      await new Promise((resolve) => http.close(resolve));
      clearTimeout(lingering);
    },
  };
}
