// Two members that chat during an attack and measure what they notice.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chat, LIMITS } from '@engawa/protocol';
import { SocketIoClient, type Target } from '../generator/socketio-client.ts';
import { percentile } from '../report/statistics.ts';

/** A source address that no attack uses. */
const ADDRESS = '127.0.0.2';
const NEWCOMER_ADDRESS = '127.0.0.3';
export const BYSTANDER_ROOM = 'veranda';
export const BYSTANDER_NAMES = ['aya', 'ben'] as const;
/** One chat each in turn, two a second together: the default rate limit allows this without end. */
const CHAT_EVERY_MS = 500;
const NEWCOMER_EVERY_MS = 1_000;
const NEWCOMER_DEADLINE_MS = 5_000;
/** For chats in flight at the end of the measurement. */
const DEADLINE_MS = 30_000;

export interface BystanderReport {
  /** Milliseconds from sending to receiving, and to the acknowledgement; infinite if it never came. */
  receiveP50: number;
  receiveP99: number;
  ackP99: number;
  chats: number;
  /** Newcomers that were admitted, of those that tried, one a second. */
  newcomers: { admitted: number; tried: number };
  /** Observed faults, each as a sentence. */
  faults: string[];
}

interface SentChat {
  sentAt: number;
  receivedAt?: number;
  acknowledgedAt?: number;
}

export class Bystanders {
  /** Session of the first one, who owns the room. */
  readonly ownerSession: string;
  readonly #target: Target;
  readonly #clients: SocketIoClient[];
  readonly #chats = new Map<string, SentChat>();
  readonly #faults: string[] = [];
  #newcomers = { admitted: 0, tried: 0 };
  readonly #timers: NodeJS.Timeout[] = [];
  /** Chats before this one are not measured. */
  #measuredFrom = 0;
  #sent = 0;

  static async join(target: Target): Promise<Bystanders> {
    const clients: SocketIoClient[] = [];
    const sessions: string[] = [];
    for (const [index, username] of BYSTANDER_NAMES.entries()) {
      const client = await SocketIoClient.connect(target, { localAddress: ADDRESS });
      const answer = await client.ask(index === 0 ? 'create:room' : 'add:member', { roomId: BYSTANDER_ROOM, username });
      if (!answer.ok) throw new Error(`${username} cannot join: ${answer.error.code}`);
      clients.push(client);
      sessions.push(answer.session);
    }
    return new Bystanders(target, clients, sessions[0] ?? '');
  }

  private constructor(target: Target, clients: SocketIoClient[], ownerSession: string) {
    this.#target = target;
    this.ownerSession = ownerSession;
    this.#clients = clients;
    for (const [index, client] of clients.entries()) this.#watch(client, index);
  }

  /** Starts to chat. The schedule does not wait for a slow server, so that a stall counts with its full length. */
  start(): void {
    this.#timers.push(setInterval(() => this.#sendNext(), CHAT_EVERY_MS));
    this.#timers.push(setInterval(() => void this.#tryNewcomer(), NEWCOMER_EVERY_MS));
  }

  /** Ignores everything before, such as the start of the server. */
  beginMeasurement(): void {
    this.#measuredFrom = this.#sent;
    this.#newcomers = { admitted: 0, tried: 0 };
  }

  async endMeasurement(): Promise<BystanderReport> {
    const measured = [...this.#chats.values()].slice(this.#measuredFrom);
    const newcomers = this.#newcomers;
    this.#newcomers = { admitted: 0, tried: 0 };
    const isSettled = (): boolean => measured.every(({ receivedAt, acknowledgedAt }) => receivedAt && acknowledgedAt);
    for (const deadline = performance.now() + DEADLINE_MS; !isSettled() && this.#areConnected && performance.now() < deadline; )
      await sleep(20);
    const received = measured.map(({ sentAt, receivedAt = Infinity }) => receivedAt - sentAt);
    const acknowledged = measured.map(({ sentAt, acknowledgedAt = Infinity }) => acknowledgedAt - sentAt);
    const lost = received.filter((latency) => latency === Infinity).length;
    return {
      receiveP50: percentile(received, 0.5),
      receiveP99: percentile(received, 0.99),
      ackP99: percentile(acknowledged, 0.99),
      chats: measured.length,
      newcomers,
      faults: lost > 0 ? [...this.#faults, `${lost} of ${measured.length} chats were not received`] : [...this.#faults],
    };
  }

  /** Checks the log of the room for chats that were not sent, acknowledged chats that are missing, and duplicates. */
  async checkLog({ pageSize = LIMITS.pageMax }: { pageSize?: number } = {}): Promise<string[]> {
    const stored = (await this.#readLog(pageSize)).filter(({ username }) =>
      BYSTANDER_NAMES.includes(username as (typeof BYSTANDER_NAMES)[number]),
    );
    const acknowledged = [...this.#chats].filter(([, { acknowledgedAt }]) => acknowledgedAt !== undefined).map(([message]) => message);
    const isSent = (message: string | null): boolean => this.#chats.has(message ?? '');
    const storedTexts = stored.map(({ message }) => message);
    return [
      ...(storedTexts.every(isSent) ? [] : ['their log has a chat that they did not send, or lacks the text of one']),
      ...(acknowledged.every((message) => storedTexts.includes(message)) ? [] : ['their log lacks a chat that was acknowledged']),
      ...(new Set(storedTexts).size === storedTexts.length ? [] : ['their log has a chat twice']),
    ];
  }

  leave(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const client of this.#clients) {
      client.onEvent = undefined;
      client.end();
    }
  }

  async #readLog(pageSize: number): Promise<Chat[]> {
    const chats: Chat[] = [];
    for (let after = 0, hasMore = true; hasMore; after = chats.at(-1)?.seq ?? 0) {
      const page = await this.#clients[0]?.ask('list:chats', { roomId: BYSTANDER_ROOM, limit: pageSize, after });
      if (!page?.ok) throw new Error(`The bystanders cannot read their log: ${page?.error.code}`);
      chats.push(...page.chats);
      hasMore = page.hasMore.after && page.chats.length > 0;
    }
    return chats;
  }

  get #areConnected(): boolean {
    return this.#clients.every(({ closeReason }) => closeReason === undefined);
  }

  #watch(client: SocketIoClient, index: number): void {
    const other = this.#clients[1 - index];
    client.onEvent = (packet) => this.#receive(packet, client);
    void client.closed.then((why) => {
      if (client.onEvent && other?.onEvent) this.#faults.push(`${BYSTANDER_NAMES[index]} lost the connection: ${why}`);
    });
  }

  #sendNext(): void {
    const index = this.#sent % this.#clients.length;
    const client = this.#clients[index] as SocketIoClient;
    const message = `chat ${this.#sent}`;
    const chat: SentChat = { sentAt: performance.now() };
    this.#sent += 1;
    this.#chats.set(message, chat);
    client.ask('create:chat', { roomId: BYSTANDER_ROOM, username: BYSTANDER_NAMES[index] ?? '', message }).then(
      (answer) => {
        chat.acknowledgedAt = performance.now();
        if (!answer.ok) this.#faults.push(`${message} was refused: ${answer.error.code}`);
      },
      () => undefined,
    );
  }

  /** A chat counts when the other one receives it. */
  #receive(packet: string, client: SocketIoClient): void {
    if (!packet.startsWith('42["create:chat:success"')) return;
    const [, { username, message }] = JSON.parse(packet.slice(2)) as [string, { username: string; message: string }];
    const sender = BYSTANDER_NAMES.indexOf(username as (typeof BYSTANDER_NAMES)[number]);
    if (sender < 0 || this.#clients[sender] === client) return;
    const chat = this.#chats.get(message);
    if (!chat || Number(message.slice('chat '.length)) % this.#clients.length !== sender)
      this.#faults.push(`received a chat that ${username} did not send`);
    else if (chat.receivedAt !== undefined) this.#faults.push(`${message} was received twice`);
    else chat.receivedAt = performance.now();
  }

  async #tryNewcomer(): Promise<void> {
    const counts = this.#newcomers;
    counts.tried += 1;
    const joining = SocketIoClient.connect(this.#target, { localAddress: NEWCOMER_ADDRESS }).then(
      (client) => {
        client.end();
        return true;
      },
      () => false,
    );
    if (await Promise.race([joining, sleep(NEWCOMER_DEADLINE_MS, false, { ref: false })])) counts.admitted += 1;
  }
}
