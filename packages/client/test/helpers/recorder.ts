import type { LinkFactory } from '@engawa/client';
import { type Answer, type Ask, type CommandName, events } from '@engawa/protocol';
import type { RoomHistory, Sent } from '../../../server/test/helpers/history.ts';

const isCommand = (event: string): event is CommandName => event in events && 'told' in events[event as CommandName];

/** Writes down what clients ask, however often they do, and what they are answered: with one clock for all of them. */
export class Recorder {
  readonly rooms: ReadonlyMap<string, RoomHistory>;
  readonly #lastAsked = new Map<Sent, number>();
  #tick = 0;

  constructor(roomIds: string[]) {
    this.rooms = new Map(roomIds.map((roomId) => [roomId, { sent: [], hearings: [] }]));
  }

  /** To be called at every asking; `known` when it was asked before. */
  asked(client: string, event: CommandName, payload: Sent['payload'], known?: Sent): Sent {
    const sent = known ?? { client, event, payload, sentAt: this.#next(), acks: [] };
    if (!known) this.rooms.get(payload.roomId)?.sent.push(sent);
    // What is asked again was not refused for good.
    delete sent.refusal;
    this.#lastAsked.set(sent, Date.now());
    return sent;
  }

  /** Who is refused because he is away, and accepted when he is back, was not refused. */
  answered(sent: Sent, answer: Answer<CommandName>): void {
    const tick = this.#next();
    if (!answer.ok) {
      if (!answer.error.retryable && sent.acks.length === 0) sent.refusal = answer.error.code;
      return;
    }
    delete sent.refusal;
    const { epoch, seq, id } = answer;
    sent.acks.push({ tick, epoch, seq, ...(id !== undefined && { id }) });
  }

  /** When it was asked the last time, by the clock of this machine. */
  lastAskedAt(sent: Sent): number {
    return this.#lastAsked.get(sent) ?? 0;
  }

  /** For what one client asks, over however many connections and pages. */
  pen(client: string): Pen {
    return new Pen(this, client);
  }

  #next(): number {
    this.#tick += 1;
    return this.#tick;
  }
}

/** Writes for one client, and knows a retry by its client id. */
export class Pen {
  readonly #recorder: Recorder;
  readonly #client: string;
  readonly #byClientId = new Map<string, Sent>();
  readonly #packets = new Map<string, Map<Sent, number>>();

  constructor(recorder: Recorder, client: string) {
    this.#recorder = recorder;
    this.#client = client;
  }

  /** Nothing when it is no command. */
  asked(event: string, payload: object, page = 1): Sent | undefined {
    if (!isCommand(event)) return undefined;
    const { clientId } = payload as Ask<CommandName>;
    const known = clientId === undefined ? undefined : this.#byClientId.get(clientId);
    const sent = this.#recorder.asked(this.#client, event, payload as Sent['payload'], known);
    if (!known) sent.page = page;
    // Alone it may be answered as the first of a packet that has its name.
    if (sent.packet?.clientId !== clientId) delete sent.packet;
    if (clientId !== undefined) this.#byClientId.set(clientId, sent);
    return sent;
  }

  answered(sent: Sent | undefined, answer: Answer<CommandName>): void {
    if (sent) this.#recorder.answered(sent, answer);
  }

  /** A packet that was kept before, with fewer chats, has no place for the others; of one with more, this is what is left. */
  #answeredInPacket(sent: Sent | undefined, answer: Answer<'create:chats'>, { index, of }: { index: number; of: number }): void {
    if (!sent) return;
    if (!answer.ok) {
      this.answered(sent, answer);
      return;
    }
    const place = answer.chats[answer.chats.length === of ? index : (sent.packet?.index ?? index)];
    if (place) this.answered(sent, { ...answer, ...place });
  }

  /** The place in a packet is that of the first try of it. */
  #indexIn(packet: string, sent: Sent, index: number): number {
    const places = this.#packets.get(packet) ?? new Map<Sent, number>();
    this.#packets.set(packet, places);
    if (!places.has(sent)) places.set(sent, index);
    return places.get(sent) ?? index;
  }

  #severalAsked({ roomId, username, chats, clientId = '' }: Ask<'create:chats'>, page: number): (Sent | undefined)[] {
    return chats.map((chat, index) => {
      const sent = this.asked('create:chat', { roomId, username, ...chat }, page);
      if (sent) sent.packet = { clientId, index: this.#indexIn(clientId, sent, index) };
      return sent;
    });
  }

  /** The link of a page, with what goes through it written down. */
  link(factory: LinkFactory, page = 1): LinkFactory {
    return (url, listeners) => {
      const link = factory(url, listeners);
      return {
        open: (auth) => link.open(auth),
        close: () => link.close(),
        ask: async (event, payload, timeoutMs) => {
          const several = event === 'create:chats' ? this.#severalAsked(payload as Ask<'create:chats'>, page) : [];
          const sent = this.asked(event, payload, page);
          const answer = (await link.ask(event, payload, timeoutMs)) as Answer<'create:chats'>;
          for (const [index, each] of several.entries()) this.#answeredInPacket(each, answer, { index, of: several.length });
          this.answered(sent, answer);
          return answer;
        },
      };
    };
  }
}
