// A member that sends a chat every 20 ms, and another on a second server that receives them, during a fault.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo, type SocketIoClient } from '../generator/socketio-client.ts';

const INTERVAL_MS = 20;
/** How long it goes on at least after the fault, and at most until all chats are acknowledged. */
const MIN_MS = 8_000;
const MAX_MS = 40_000;
/** A chat that has not been received by then is missing. */
const DEADLINE_MS = 5_000;
const RETRY_DELAY_MS = 10;
const MESSAGE = /"message":"(\d+)"/;

/** Milliseconds that the fault took; the longest time until a chat was acknowledged, and received; and how many were not. */
export type FaultEffect = Record<'fault' | 'acknowledged' | 'received' | 'missing', number>;

interface SentChat {
  at: number;
  acknowledgedAt?: number;
  receivedAt?: number;
}

export class SteadyLoad {
  readonly #sender: SocketIoClient;
  readonly #reader: SocketIoClient;
  readonly #roomId: string;
  readonly #chats: SentChat[] = [];

  static async begin(roomId: string, [senderUrl, readerUrl]: [string, string]): Promise<SteadyLoad> {
    const [sender, reader] = [await connectTo(senderUrl), await connectTo(readerUrl)];
    await sender.request('create:room', { roomId, username: 'sender' });
    await reader.request('add:member', { roomId, username: 'reader' });
    return new SteadyLoad(roomId, sender, reader);
  }

  private constructor(roomId: string, sender: SocketIoClient, reader: SocketIoClient) {
    [this.#roomId, this.#sender, this.#reader] = [roomId, sender, reader];
    reader.onEvent = (packet) => this.#receive(packet);
  }

  /** The effect on the chats that were sent since the fault began. */
  async during(causeFault: () => Promise<unknown>): Promise<FaultEffect> {
    const timer = setInterval(() => void this.#send(), INTERVAL_MS);
    await sleep(MIN_MS / 4);
    const begun = performance.now();
    await causeFault();
    const fault = performance.now() - begun;
    const chats = () => this.#chats.filter(({ at }) => at >= begun - INTERVAL_MS);
    const isOver = () =>
      chats().every(({ at, acknowledgedAt, receivedAt }) => acknowledgedAt && (receivedAt ?? performance.now() - at > DEADLINE_MS));
    while (performance.now() - begun < MIN_MS) await sleep(INTERVAL_MS);
    clearInterval(timer);
    while (!isOver() && performance.now() - begun < MAX_MS) await sleep(INTERVAL_MS);
    return {
      fault,
      acknowledged: Math.max(...chats().map(({ at, acknowledgedAt = Number.POSITIVE_INFINITY }) => acknowledgedAt - at)),
      received: Math.max(...chats().map(({ at, receivedAt = at }) => receivedAt - at)),
      missing: chats().filter(({ receivedAt }) => receivedAt === undefined).length,
    };
  }

  close(): void {
    this.#sender.end();
    this.#reader.end();
  }

  /** A refused chat is repeated under the same idempotency key. */
  async #send(): Promise<void> {
    const chat: SentChat = { at: performance.now() };
    const message = String(this.#chats.push(chat) - 1);
    const payload = { roomId: this.#roomId, username: 'sender', message, clientId: randomUUID() };
    while (chat.acknowledgedAt === undefined && performance.now() - chat.at < MAX_MS) {
      const isAccepted = await this.#sender.ask('create:chat', payload).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isAccepted) chat.acknowledgedAt = performance.now();
      else await sleep(RETRY_DELAY_MS);
    }
  }

  #receive(packet: string): void {
    const [, number] = MESSAGE.exec(packet) ?? [];
    const chat = this.#chats[Number(number ?? -1)];
    if (chat) chat.receivedAt ??= performance.now();
  }
}
