/** How fast a server takes chats, as it says itself, so that `send` can say why many lines take so long. */
import type { TransportFactory } from '@engawa/client';
import type { Limits, RateLimit } from '@engawa/protocol';

interface AckFields {
  ok?: unknown;
  limits?: Partial<Limits>;
  error?: { code?: unknown };
}

const JOIN_EVENTS = new Set(['add:member', 'create:room']);
const CHAT_EVENTS = new Set(['create:chat', 'create:chats']);

/** Sees what is asked over the links that it makes, and what is answered. */
export class ChatRateMonitor {
  #rate: RateLimit | undefined;
  #rateLimitListener: ((rate: RateLimit | undefined) => unknown) | undefined;

  /** Called once, when chats are asked to come more slowly: with the rate at which they are taken, where the server has said it. */
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

/** What `send` says of it; `toGo`: how many lines are not kept yet, where that is known. */
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

/** Seconds as people say them, by the two largest units. */
function formatDuration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${whole} s`;
}
