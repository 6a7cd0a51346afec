/** Creates the HTTP server of a node with its gate, its timeouts and its connection limit. */
import { createServer, type Server } from 'node:http';
import type { AddressLimits } from '@engawa/protocol';
import { AddressLimiterRegistry } from '../limits/address-limiter.ts';
import { ClientIpResolver, type TrustedProxies } from '../network/client-ip-resolver.ts';
import { type HttpGateOptions, installHttpGate } from './http-gate.ts';
import { computeMaxConnections } from './max-connections.ts';
import { createRefusalLog, type RefusalLog } from './refusal-log.ts';

/** Milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Bodies are at most 64 KiB long. */
const REQUEST_TIMEOUT_MS = 30_000;
const CHECK_INTERVAL_MS = 1_000;
/** Longer than the keep-alive time of proxies: otherwise a proxy could send a request on a connection that is being closed. */
const KEEP_ALIVE_MS = 65_000;

interface HttpServerOptions extends Pick<HttpGateOptions, 'allowedOrigins' | 'path' | 'log' | 'readiness' | 'chat'> {
  perAddress: AddressLimits;
  trustedProxies: TrustedProxies;
  /** Networks without limits per address. */
  limitsExempt?: readonly string[];
}

export interface HttpServer {
  http: Server;
  logRefusal: RefusalLog;
  /** Resolves when all connections are closed. Connections still open after this many milliseconds are closed by force. */
  close(forceCloseAfterMs: number): Promise<void>;
}

export function createHttpServer({ perAddress, trustedProxies, limitsExempt, ...options }: HttpServerOptions): HttpServer {
  const ipResolver = new ClientIpResolver(trustedProxies);
  const limiters = new AddressLimiterRegistry({ limits: perAddress, exemptNetworks: limitsExempt });
  const logRefusal = createRefusalLog(options.log, ipResolver);
  const http = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The gate checks the header instead, so that such a request counts like any other.
    requireHostHeader: false,
  });
  const maxConnections = computeMaxConnections();
  if (maxConnections !== undefined) http.maxConnections = maxConnections;
  installHttpGate(http, { ...options, ipResolver, limiters, logRefusal });
  return {
    http,
    logRefusal,
    async close(forceCloseAfterMs) {
      limiters.close();
      if (!http.listening) return;
      const forceCloseTimer = setTimeout(() => http.closeAllConnections(), forceCloseAfterMs);
      await new Promise((resolve) => http.close(resolve));
      clearTimeout(forceCloseTimer);
    },
  };
}
