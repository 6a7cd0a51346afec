/** How fast a server takes chats, as it says itself, so that `send` can say why many lines take so long. */
import type { LinkFactory } from '@engawa/client';
import type { Limits, Rate } from '@engawa/protocol';

interface Answered {
  ok?: unknown;
  limits?: Partial<Limits>;
  error?: { code?: unknown };
}

const JOINS = new Set(['add:member', 'create:room']);
const CHATS = new Set(['create:chat', 'create:chats']);

/** Sees what is asked over the links that it makes, and what is answered. */
export class ChatRate {
  #rate: Rate | undefined;
  #slowed: ((rate: Rate | undefined) => unknown) | undefined;

  /** Called once, when chats are asked to come more slowly: with the rate at which they are taken, where the server has said it. */
  onSlowed(act: (rate: Rate | undefined) => unknown): void {
    this.#slowed = act;
  }

  over(make: LinkFactory): LinkFactory {
    return (...of) => {
      const link = make(...of);
      return {
        open: (auth) => link.open(auth),
        close: () => link.close(),
        ask: async (event, payload, timeoutMs) => {
          const answer = await link.ask(event, payload, timeoutMs);
          this.#answered(event, answer ?? {});
          return answer;
        },
      };
    };
  }

  #answered(event: string, { ok, limits, error }: Answered): void {
    if (JOINS.has(event) && ok === true) this.#rate = limits?.rates?.chats ?? undefined;
    if (!CHATS.has(event) || error?.code !== 'rate_limited') return;
    this.#slowed?.(this.#rate);
    this.#slowed = undefined;
  }
}

/** What `send` says of it; `toGo`: how many lines are not kept yet, where that is known. */
export function slowed(rate: Rate | undefined, toGo: number | undefined): string {
  const lines = toGo === undefined ? '' : `; ${toGo.toLocaleString('en')} ${toGo === 1 ? 'line' : 'lines'} to go`;
  if (!rate) return `the server takes no more chats for now${lines}`;
  const { perSecond } = rate;
  const takes = perSecond < 1 ? `1 chat in ${inWords(1 / perSecond)}` : `${counted(Math.round(perSecond * 10) / 10, 'chat')} a second`;
  const time = toGo === undefined ? '' : `, about ${inWords(toGo / perSecond)}`;
  return `the server takes ${takes} from you${lines}${time}`;
}

const counted = (count: number, what: string): string => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;

/** Seconds as people say them, by the two largest units. */
function inWords(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${whole} s`;
}
