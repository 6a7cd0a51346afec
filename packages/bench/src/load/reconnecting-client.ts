import { randomBytes } from 'node:crypto';
import type { MissedEntry, RequestInput } from '@engawa/protocol';
import { type Auth, RawClient } from './raw-client.ts';

/** Where a room stands. */
export type Position = Pick<RequestInput<'resume:rooms'>['rooms'][number], 'epoch' | 'seq' | 'id'>;

const CHAT_HEARD = '42["create:chat:success"';

/** A member of one room, who can come back to it. */
export class ReconnectingClient {
  readonly place: { roomId: string; username: string };
  client: RawClient | undefined;
  /** Chats heard. */
  chats = 0;
  readonly #session = randomBytes(24).toString('base64url');
  #lastChat: Buffer | undefined;
  #pid: string | undefined;
  #goal: number | undefined;
  #onChat: (() => void) | undefined;

  constructor(roomId: string, username: string) {
    this.place = { roomId, username };
  }

  async join(url: string): Promise<void> {
    await this.#connect(url, { session: this.#session });
    this.#pid = this.client?.pid;
    await this.client?.ask('add:member', this.place);
  }

  /** Connects and asks until he has everything. Resolves with how many chats that were. */
  async resume(url: string, position: Position): Promise<number> {
    const client = await this.#connect(url, { session: this.#session });
    let chats = 0;
    for (let at = position; ; ) {
      const room = (await client.ask('resume:rooms', { rooms: [{ ...this.place, ...at }] })).rooms[0];
      if (room?.outcome !== 'more' && room?.outcome !== 'caught_up') throw new Error(`A member could not resume: ${JSON.stringify(room)}`);
      chats += (room.entries as MissedEntry[]).filter(({ kind }) => kind === 'create:chat').length;
      if (room.outcome === 'caught_up') return chats;
      at = { epoch: room.epoch, seq: room.seq, id: room.id };
    }
  }

  /** Connects as the stock client would, again if it failed. Resolves when so many chats were heard since the first time. */
  async recover(url: string, missed: number): Promise<void> {
    this.#goal ??= this.chats + missed;
    const goal = this.#goal;
    await this.#connect(url, { pid: this.#pid, offset: this.#offset() });
    if (this.chats >= goal) return;
    await new Promise<void>((resolve) => {
      this.#onChat = () => this.chats >= goal && resolve();
    });
  }

  async #connect(url: string, auth: Auth): Promise<RawClient> {
    this.client?.close();
    this.client = await RawClient.connect(url, auth, (frame) => this.#hear(frame));
    return this.client;
  }

  #hear(frame: Buffer): void {
    if (frame.toString('latin1', 0, CHAT_HEARD.length) !== CHAT_HEARD) return;
    this.chats += 1;
    this.#lastChat = frame;
    this.#onChat?.();
  }

  /** The server puts it behind the arguments of an event. */
  #offset(): string | undefined {
    const last = (JSON.parse(this.#lastChat?.toString('utf8', 2) ?? '[]') as unknown[]).at(-1);
    return typeof last === 'string' ? last : undefined;
  }
}
