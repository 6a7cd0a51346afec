/**
 * The startup server: answers health checks over HTTP until the store is open. It reports that the process is alive, but not
 * ready.
 */
import type { Logger } from 'pino';
import { limitsFromSettings } from '../config/limits.ts';
import type { Settings } from '../config/settings.ts';
import { createHttpServer } from '../http/http-server.ts';
import { RateLimitedLog } from '../logging/rate-limited-log.ts';

export function createStartupServer(settings: Settings, logger: Logger) {
  const log = RateLimitedLog.wrap(logger);
  const { allowedOrigins, path, trustedProxies, limitsExempt } = settings;
  const { perAddress } = limitsFromSettings(settings);
  const readiness = () => ({ ready: false, lag: 0 });
  const httpServer = createHttpServer({ allowedOrigins, path, trustedProxies, limitsExempt, perAddress, log, readiness });
  return {
    async open(): Promise<void> {
      const { http } = httpServer;
      if (http.listening) return;
      const { port, host } = settings;
      await new Promise<void>((resolve, reject) => http.once('error', reject).listen({ port, host }, resolve));
    },
    async close(): Promise<void> {
      await httpServer.close(0);
      log.close();
    },
  };
}
