/** The request log: every command that clients send, with its acknowledgements, on one clock. */
import type { TransportFactory } from '@engawa/client';
import { type Ack, type CommandName, events, type RequestInput } from '@engawa/protocol';
import type { RoomHistory, SentCommand } from './history.ts';

const isCommand = (event: string): event is CommandName => event in events && 'broadcast' in events[event as CommandName];

/** Records the requests of all clients, every attempt, and the answers, on one clock. */
export class RequestLog {
  readonly rooms: ReadonlyMap<string, RoomHistory>;
  readonly #lastRequested = new Map<SentCommand, number>();
  #sequence = 0;

  constructor(roomIds: string[]) {
    this.rooms = new Map(roomIds.map((roomId) => [roomId, { sent: [], receivedLogs: [] }]));
  }

  /** Call it for every attempt; `existing` is the command if it was sent before. */
  recordRequest(client: string, event: CommandName, payload: SentCommand['payload'], existing?: SentCommand): SentCommand {
    const sent = existing ?? { client, event, payload, sentSequence: this.#nextSequence(), acks: [] };
    if (!existing) this.rooms.get(payload.roomId)?.sent.push(sent);
    // A repeated command was not finally refused.
    delete sent.refusal;
    this.#lastRequested.set(sent, Date.now());
    return sent;
  }

  /** A refusal that is followed by an acceptance does not count. */
  recordAnswer(sent: SentCommand, answer: Ack<CommandName>): void {
    const sequence = this.#nextSequence();
    if (!answer.ok) {
      if (!answer.error.retryable && sent.acks.length === 0) sent.refusal = answer.error.code;
      return;
    }
    delete sent.refusal;
    const { epoch, seq, id } = answer;
    sent.acks.push({ sequence, epoch, seq, ...(id !== undefined && { id }) });
  }

  /** The time of the last attempt, by this machine's clock. */
  lastRequestedAt(sent: SentCommand): number {
    return this.#lastRequested.get(sent) ?? 0;
  }

  /** The log of one client, over all of its connections and pages. */
  forClient(client: string): ClientRequestLog {
    return new ClientRequestLog(this, client);
  }

  #nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}

/** Records the requests of one client, and recognises a retry by its client id. */
export class ClientRequestLog {
  readonly #log: RequestLog;
  readonly #client: string;
  readonly #byClientId = new Map<string, SentCommand>();
  readonly #packets = new Map<string, Map<SentCommand, number>>();

  constructor(log: RequestLog, client: string) {
    this.#log = log;
    this.#client = client;
  }

  /** Undefined if the event is not a command. */
  recordRequest(event: string, payload: object, page = 1): SentCommand | undefined {
    if (!isCommand(event)) return undefined;
    const { clientId } = payload as RequestInput<CommandName>;
    const existing = clientId === undefined ? undefined : this.#byClientId.get(clientId);
    const sent = this.#log.recordRequest(this.#client, event, payload as SentCommand['payload'], existing);
    if (!existing) sent.page = page;
    // A chat that is sent alone may be answered as the first of a packet that has its id.
    if (sent.packet?.clientId !== clientId) delete sent.packet;
    if (clientId !== undefined) this.#byClientId.set(clientId, sent);
    return sent;
  }

  recordAnswer(sent: SentCommand | undefined, answer: Ack<CommandName>): void {
    if (sent) this.#log.recordAnswer(sent, answer);
  }

  /**
   * A packet that was stored before with fewer chats has no seq for the others; of a packet with more chats, this one is the
   * rest.
   */
  #recordPacketAnswer(sent: SentCommand | undefined, answer: Ack<'create:chats'>, { index, of }: { index: number; of: number }): void {
    if (!sent) return;
    if (!answer.ok) {
      this.recordAnswer(sent, answer);
      return;
    }
    const entryRef = answer.chats[of > 1 && answer.chats.length === of ? index : (sent.packet?.index ?? index)];
    if (entryRef) this.recordAnswer(sent, { ...answer, ...entryRef });
  }

  /** The index in a packet is that of its first attempt. Its first chat has its id, and may have been stored alone before. */
  #indexInPacket(packet: string, sent: SentCommand, index: number): number {
    const indexes = this.#packets.get(packet) ?? new Map<SentCommand, number>();
    this.#packets.set(packet, indexes);
    if (!indexes.has(sent)) indexes.set(sent, index);
    return indexes.get(sent) ?? index;
  }

  #recordPacket({ roomId, username, chats, clientId = '' }: RequestInput<'create:chats'>, page: number): (SentCommand | undefined)[] {
    const skipped = chats[0]?.clientId === clientId ? 0 : 1;
    return chats.map((chat, index) => {
      const sent = this.recordRequest('create:chat', { roomId, username, ...chat }, page);
      if (sent) sent.packet = { clientId, index: this.#indexInPacket(clientId, sent, skipped + index) };
      return sent;
    });
  }

  /** The transport of a page, with everything that passes it recorded. */
  wrapTransport(factory: TransportFactory, page = 1): TransportFactory {
    return (url, listeners) => {
      const link = factory(url, listeners);
      return {
        open: (auth) => link.open(auth),
        close: () => link.close(),
        request: async (event, payload, timeoutMs) => {
          const packet = event === 'create:chats' ? this.#recordPacket(payload as RequestInput<'create:chats'>, page) : [];
          const sent = this.recordRequest(event, payload, page);
          const answer = (await link.request(event, payload, timeoutMs)) as Ack<'create:chats'>;
          for (const [index, each] of packet.entries()) this.#recordPacketAnswer(each, answer, { index, of: packet.length });
          this.recordAnswer(sent, answer);
          return answer;
        },
      };
    };
  }
}
