import { createServer } from 'node:http';
import { answerHttp } from './http.ts';

/** Stands in for the server before it has a store: whoever asks is told that this process lives, and is not ready. */
export function createPorch() {
  const http = createServer((request, response) => answerHttp(request, response, () => ({ ready: false, lag: 0 })));
  return {
    async open({ port, host }: { port: number; host: string }): Promise<void> {
      if (http.listening) return;
      await new Promise<void>((resolve, reject) => http.once('error', reject).listen({ port, host }, resolve));
    },
    async close(): Promise<void> {
      if (!http.listening) return;
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
