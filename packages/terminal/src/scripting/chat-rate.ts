// Watches acknowledgements for rate limiting, so that `send` can explain delays.
import type { TransportFactory } from '@engawa/client';
import type { Limits, RateLimit } from '@engawa/protocol';

interface AckFields {
  ok?: unknown;
  limits?: Partial<Limits>;
  error?: { code?: unknown };
}

const JOIN_EVENTS = new Set(['add:member', 'create:room']);
const CHAT_EVENTS = new Set(['create:chat', 'create:chats']);

/** Observes the requests and responses of the transports that it creates. */
export class ChatRateMonitor {
  #rate: RateLimit | undefined;
  #rateLimitListener: ((rate: RateLimit | undefined) => unknown) | undefined;

  /** The listener is called once, at the first rate-limited response; with the rate, if the server has announced one. */
  onRateLimited(listener: (rate: RateLimit | undefined) => unknown): void {
    this.#rateLimitListener = listener;
  }

  wrapTransport(make: TransportFactory): TransportFactory {
    return (...of) => {
      const transport = make(...of);
      return {
        open: (auth) => transport.open(auth),
        close: () => transport.close(),
        request: async (event, payload, timeoutMs) => {
          const answer = await transport.request(event, payload, timeoutMs);
          this.#inspectAck(event, answer ?? {});
          return answer;
        },
      };
    };
  }

  #inspectAck(event: string, { ok, limits, error }: AckFields): void {
    if (JOIN_EVENTS.has(event) && ok === true) this.#rate = limits?.rates?.chats ?? undefined;
    if (!CHAT_EVENTS.has(event) || error?.code !== 'rate_limited') return;
    this.#rateLimitListener?.(this.#rate);
    this.#rateLimitListener = undefined;
  }
}

/** The message of `send` about the rate limit. `remainingLines` is undefined if unknown. */
export function rateLimitMessage(rate: RateLimit | undefined, remainingLines: number | undefined): string {
  const lines =
    remainingLines === undefined ? '' : `; ${remainingLines.toLocaleString('en')} ${remainingLines === 1 ? 'line' : 'lines'} to go`;
  if (!rate) return `the server takes no more chats for now${lines}`;
  const { perSecond } = rate;
  const takes =
    perSecond < 1 ? `1 chat in ${formatDuration(1 / perSecond)}` : `${pluralize(Math.round(perSecond * 10) / 10, 'chat')} a second`;
  const time = remainingLines === undefined ? '' : `, about ${formatDuration(remainingLines / perSecond)}`;
  return `the server takes ${takes} from you${lines}${time}`;
}

const pluralize = (count: number, what: string): string => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;

/** Formats seconds in the two largest units. */
function formatDuration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${whole} s`;
}
