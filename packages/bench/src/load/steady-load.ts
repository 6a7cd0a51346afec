import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from './raw-client.ts';

const EVERY_MS = 20;
/** Talks on for so long after something happened, and then until all is as before. */
const LEAST_MS = 8_000;
const MOST_MS = 40_000;
/** What nobody heard by then was lost. */
const LATE_MS = 5_000;
const AGAIN_MS = 10;
const MESSAGE = /"message":"(\d+)"/;

/**
 * Milliseconds that it took to happen; that a chat took at most, until it was acknowledged and until the other heard it; and
 * how many he never heard.
 */
export type FailureEffect = Record<'happened' | 'acknowledged' | 'heard' | 'unheard', number>;

interface Said {
  at: number;
  acknowledgedAt?: number;
  heardAt?: number;
}

/** Somebody says a chat every 20 ms on one server, and says it again until it is acknowledged; somebody else hears him on another. */
export class SteadyLoad {
  readonly #speaker: RawClient;
  readonly #listener: RawClient;
  readonly #roomId: string;
  readonly #said: Said[] = [];
  #opening: Promise<void> | undefined;

  private constructor(roomId: string, speaker: RawClient, listener: RawClient) {
    [this.#roomId, this.#speaker, this.#listener] = [roomId, speaker, listener];
  }

  static async begin(roomId: string, [speakerUrl, listenerUrl]: [string, string]): Promise<SteadyLoad> {
    const session = () => ({ session: randomBytes(24).toString('base64url') });
    const speaker = await RawClient.connect(speakerUrl, session());
    const listener = await RawClient.connect(listenerUrl, session(), (frame) => conversation.#hear(frame.toString()));
    const conversation = new SteadyLoad(roomId, speaker, listener);
    await conversation.#open();
    await conversation.#join();
    return conversation;
  }

  /** What those chats met that were said since it began to happen. */
  async during(happen: () => Promise<unknown>): Promise<FailureEffect> {
    const talking = setInterval(() => void this.#say(), EVERY_MS);
    await sleep(LEAST_MS / 4);
    const begun = performance.now();
    await happen();
    const happened = performance.now() - begun;
    const chats = () => this.#said.filter(({ at }) => at >= begun - EVERY_MS);
    const isOver = () =>
      chats().every(({ acknowledgedAt, heardAt, at }) => acknowledgedAt && (heardAt ?? performance.now() - at > LATE_MS));
    while (performance.now() - begun < LEAST_MS) await sleep(EVERY_MS);
    clearInterval(talking);
    while (!isOver() && performance.now() - begun < MOST_MS) await sleep(EVERY_MS);
    const longest = (times: (number | undefined)[]) =>
      Math.max(...times.map((time) => time ?? Number.NaN).filter((time) => !Number.isNaN(time)));
    return {
      happened,
      acknowledged: longest(chats().map(({ at, acknowledgedAt }) => (acknowledgedAt ?? Number.POSITIVE_INFINITY) - at)),
      heard: longest(chats().map(({ at, heardAt }) => heardAt && heardAt - at)),
      unheard: chats().filter(({ heardAt }) => heardAt === undefined).length,
    };
  }

  close(): void {
    this.#speaker.close();
    this.#listener.close();
  }

  async #say(): Promise<void> {
    const chat: Said = { at: performance.now() };
    const message = String(this.#said.push(chat) - 1);
    const ask = { roomId: this.#roomId, username: 'speaker', message, clientId: randomUUID() };
    while (chat.acknowledgedAt === undefined && performance.now() - chat.at < MOST_MS) {
      try {
        await this.#speaker.ask('create:chat', ask);
        chat.acknowledgedAt = performance.now();
      } catch (error) {
        // All was lost: he begins anew.
        if (/room_not_found|not_a_member/.test((error as Error).message)) await this.#open();
        await sleep(AGAIN_MS);
      }
    }
  }

  async #open(): Promise<void> {
    const place = { roomId: this.#roomId, username: 'speaker' };
    this.#opening ??= this.#speaker.ask('create:room', place).then(
      () => (this.#opening = undefined),
      () => (this.#opening = undefined),
    );
    await this.#opening;
  }

  async #join(): Promise<void> {
    const place = { roomId: this.#roomId, username: 'listener' };
    for (let isIn = false; !isIn; await sleep(AGAIN_MS)) {
      isIn = await this.#listener.ask('add:member', place).then(
        () => true,
        () => false,
      );
    }
  }

  #hear(frame: string): void {
    if (frame.startsWith('42["reset:room"')) void this.#join();
    const [, number] = MESSAGE.exec(frame) ?? [];
    const said = this.#said[Number(number ?? -1)];
    if (said) said.heardAt ??= performance.now();
  }
}
