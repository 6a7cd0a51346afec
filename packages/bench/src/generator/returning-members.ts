// Members of one room that lose their connection, and return to receive what they missed.
import { randomBytes } from 'node:crypto';
import type { EntryFields, MissedEntry, RequestInput } from '@engawa/protocol';
import type { ReturnMethod } from './generator.ts';
import { type Auth, connectTo, type SocketIoClient } from './socketio-client.ts';

export interface ReturningMember {
  join(url: string): Promise<void>;
  /**
   * Connects again; what was missed arrives from now on, or has arrived. Resolves with whether the server recognised the
   * connection, if the method knows that.
   */
  comeBack(url: string): Promise<boolean | undefined>;
  leave(): void;
}

interface Membership {
  roomId: string;
  username: string;
}
type OnChat = (text: string) => void;
type Position = Pick<RequestInput<'resume:rooms'>['rooms'][number], 'epoch' | 'seq' | 'id'>;

const CHAT_EVENT = '42["create:chat:success"';
const PAGE = 500;

/** `onChat` receives the text of each chat, once for each time that it arrives. */
export const createReturningMember = (how: ReturnMethod, membership: Membership, onChat: OnChat): ReturningMember =>
  how === 'resume:rooms' ? new ResumingMember(membership, onChat) : new RecoveringMember(membership, onChat);

/** As the SDK: asks `resume:rooms` with its session and the position that it has. */
class ResumingMember implements ReturningMember {
  readonly #membership: Membership;
  readonly #onChat: OnChat;
  readonly #session = randomBytes(24).toString('base64url');
  #client: SocketIoClient | undefined;
  #position: Position = { epoch: '', seq: 0 };
  /** Events that arrive while it resumes wait: the answers may have them, too. */
  #pending: string[] | undefined;

  constructor(membership: Membership, onChat: OnChat) {
    [this.#membership, this.#onChat] = [membership, onChat];
  }

  async join(url: string): Promise<void> {
    const client = await this.#connect(url);
    const { epoch, seq, lastId: id } = await client.request('add:member', this.#membership);
    this.#position = { epoch, seq, id };
  }

  async comeBack(url: string): Promise<undefined> {
    this.#pending = [];
    const client = await this.#connect(url);
    for (let outcome = 'more'; outcome === 'more'; ) outcome = await this.#resumeNext(client);
    const pending = this.#pending;
    this.#pending = undefined;
    for (const packet of pending) this.#receive(packet);
  }

  leave(): void {
    this.#client?.end();
  }

  async #connect(url: string): Promise<SocketIoClient> {
    this.leave();
    this.#client = await connectTo(url, { auth: { session: this.#session }, onEvent: (packet) => this.#receive(packet) });
    return this.#client;
  }

  async #resumeNext(client: SocketIoClient): Promise<string> {
    const [room] = (await client.request('resume:rooms', { rooms: [{ ...this.#membership, ...this.#position }], limit: PAGE })).rooms;
    if (room?.outcome !== 'more' && room?.outcome !== 'caught_up')
      throw new Error(`A member could not resume: ${JSON.stringify(room).slice(0, 500)}`);
    this.#position = { epoch: room.epoch, seq: room.seq, id: room.id };
    for (const entry of room.entries as MissedEntry[]) if (entry.kind === 'create:chat') this.#onChat(entry.message);
    return room.outcome;
  }

  #receive(packet: string): void {
    if (!packet.startsWith(CHAT_EVENT)) return;
    if (this.#pending) {
      this.#pending.push(packet);
      return;
    }
    const [, { message, epoch, seq, id }] = JSON.parse(packet.slice(2)) as [string, EntryFields & { message: string }];
    if (epoch === this.#position.epoch && seq <= this.#position.seq) return;
    this.#position = { epoch, seq, id };
    this.#onChat(message);
  }
}

/** As a plain Socket.IO client: shows which connection it was, and the last event that it received. */
class RecoveringMember implements ReturningMember {
  readonly #membership: Membership;
  readonly #onChat: OnChat;
  #client: SocketIoClient | undefined;
  #auth: Auth = {};

  constructor(membership: Membership, onChat: OnChat) {
    [this.#membership, this.#onChat] = [membership, onChat];
  }

  async join(url: string): Promise<void> {
    const client = await this.#connect(url);
    this.#auth = { ...(client.pid !== undefined && { pid: client.pid }) };
    await client.request('add:member', this.#membership);
  }

  async comeBack(url: string): Promise<boolean> {
    const { pid } = await this.#connect(url);
    return pid !== undefined && pid === this.#auth.pid;
  }

  leave(): void {
    this.#client?.end();
  }

  async #connect(url: string): Promise<SocketIoClient> {
    this.leave();
    this.#client = await connectTo(url, { auth: this.#auth, onEvent: (packet) => this.#receive(packet) });
    return this.#client;
  }

  #receive(packet: string): void {
    const [event, payload, offset] = JSON.parse(packet.slice(2)) as [string, { message?: string }, unknown];
    // The server appends the offset to the arguments of an event.
    if (this.#auth.pid !== undefined && typeof offset === 'string') this.#auth.offset = offset;
    if (event === 'create:chat:success') this.#onChat(payload.message ?? '');
  }
}
