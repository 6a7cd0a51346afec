import { randomUUID } from 'node:crypto';
import type { Answer, Ask, Chat, ClientEvents, CommandName, EventName, Heard, Reply, ServerEvents, WireError } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';

const ANSWER_MS = 10_000;
const HISTORY_CHATS = 20;

/** What of a room is shown as it happens. */
export type Happening = { [E in CommandName]: { kind: E; heard: Heard<E> } }[CommandName];

interface Events {
  joined(room: Reply<'add:member'>): void;
  chat(chat: Chat): void;
  happened(happening: Happening): void;
  /** There is no connection, or no room to be had in it; it is tried again without an end. Told once until all is well. */
  lost(reason: string): void;
  /** It is over: refused, removed, or the room is gone. */
  ended(reason: string): void;
}

interface Outgoing {
  clientId: string;
  message: string;
  done: (error?: WireError) => void;
}

const KINDS = [
  'add:member',
  'remove:member',
  'update:chat',
  'delete:chat',
  'add:reaction',
  'remove:reaction',
  'update:room',
  'delete:room',
] as const satisfies CommandName[];

/**
 * One room over one connection that may drop at any time: joins again under the same name, catches up from the last
 * chat that was shown, and sends what was not acknowledged again under the same id.
 */
export class Conversation {
  readonly #socket: Socket<ServerEvents, ClientEvents>;
  readonly #room: string;
  readonly #username: string;
  readonly #events: Events;
  #session: string | undefined;
  #shown = 0;
  /** Chats that arrive while the history before them is being read. */
  #early: Chat[] | undefined = [];
  readonly #outbox: Outgoing[] = [];
  #sending = false;
  #isLost = false;
  #begin: (value?: unknown) => void = () => undefined;
  readonly #begun = new Promise((resolve) => {
    this.#begin = resolve;
  });

  constructor({ server, room, username }: { server: string; room: string; username: string }, events: Events) {
    this.#room = room;
    this.#username = username;
    this.#events = events;
    this.#socket = io(server, { auth: (show) => show(this.#session === undefined ? {} : { session: this.#session }) });
    this.#socket.on('connect', () => void this.#join());
    this.#socket.on('disconnect', () => {
      if (this.#socket.active) this.#lost();
    });
    this.#socket.on('connect_error', (error) => this.#refused(error));
    this.#socket.on('create:chat:success', (heard) => this.#heardChat(heard));
    for (const kind of KINDS) this.#socket.on(`${kind}:success`, (heard: unknown) => this.#happened({ kind, heard } as Happening));
  }

  /** Resolves when the server has kept it, however long that takes; with an error when it never will. */
  send(message: string): Promise<WireError | undefined> {
    return new Promise((done) => {
      this.#outbox.push({ clientId: randomUUID(), message, done });
      void this.#sendWaiting();
    });
  }

  members(): Promise<Answer<'list:members'>> {
    return this.#ask('list:members', { roomId: this.#room, limit: 500 });
  }

  /** Resolves once the room was joined and its history shown, or it is over. */
  get begun(): Promise<unknown> {
    return this.#begun;
  }

  async leave(): Promise<void> {
    if (this.#socket.connected) await this.#ask('remove:member', { roomId: this.#room, username: this.#username });
    this.close();
  }

  close(): void {
    this.#socket.disconnect();
  }

  async #join(): Promise<void> {
    const who = { roomId: this.#room, username: this.#username };
    this.#early = [];
    const added = await this.#ask('add:member', who);
    const joined = !added.ok && added.error.code === 'room_not_found' ? await this.#ask('create:room', who) : added;
    if (!joined.ok) return this.#turnedAway(joined.error);
    this.#session = joined.session;
    this.#isLost = false;
    this.#events.joined(joined);
    await this.#catchUp();
    void this.#sendWaiting();
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      const isFirst = this.#shown === 0;
      const range = isFirst ? { limit: HISTORY_CHATS } : { after: this.#shown, limit: 200 };
      const page = await this.#ask('list:chats', { roomId: this.#room, ...range });
      if (!page.ok) return this.#turnedAway(page.error);
      for (const chat of page.chats) this.#show(chat);
      if (isFirst || !page.more.after) break;
    }
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const chat of early) this.#show(chat);
    this.#begin();
  }

  #heardChat({ seq, id, at, username, message }: Heard<'create:chat'>): void {
    const chat: Chat = { seq, id, at, username, message };
    if (this.#early) this.#early.push(chat);
    else this.#show(chat);
  }

  #show(chat: Chat): void {
    if (chat.seq <= this.#shown) return;
    this.#shown = chat.seq;
    this.#events.chat(chat);
  }

  #happened(happening: Happening): void {
    const { kind, heard } = happening;
    const isOwnComing = kind === 'add:member' && heard.username === this.#username;
    const isOwnLeaving = kind === 'remove:member' && heard.username === this.#username;
    if (!isOwnComing && !isOwnLeaving) this.#events.happened(happening);
    if (kind === 'delete:room') this.#end('The room was deleted.');
    if (isOwnLeaving && heard.reason === 'removed') this.#end(`${heard.by} removed you.`);
  }

  /** Neither joining nor catching up may stop half-way: it is begun anew, or it is over. */
  #turnedAway({ message, retryable, retryAfter = 1_000 }: WireError): void {
    if (!retryable) {
      this.#end(message);
      return;
    }
    this.#lost(message);
    setTimeout(() => {
      // A connection that came back meanwhile has joined by itself.
      if (this.#socket.connected && this.#isLost) void this.#join();
    }, retryAfter);
  }

  #lost(reason = 'no connection.'): void {
    this.#early = [];
    if (!this.#isLost) this.#events.lost(reason);
    this.#isLost = true;
  }

  #refused(error: Error & { data?: WireError }): void {
    if (error.data && !error.data.retryable) {
      this.#end(error.data.message);
      return;
    }
    this.#lost();
    // Socket.IO tries again by itself when it could not connect, not when it was refused.
    if (!this.#socket.active) setTimeout(() => this.#socket.connect(), error.data?.retryAfter ?? 1_000);
  }

  #end(reason: string): void {
    this.close();
    this.#begin();
    this.#events.ended(reason);
  }

  /** One at a time, so that they are kept in the order in which they were typed. */
  async #sendWaiting(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    for (let next = this.#outbox[0]; next && this.#socket.connected && !this.#early; next = this.#outbox[0]) {
      const { clientId, message, done } = next;
      const answer = await this.#ask('create:chat', { roomId: this.#room, username: this.#username, message, clientId });
      if (answer.ok || !answer.error.retryable) {
        this.#outbox.shift();
        done(answer.ok ? undefined : answer.error);
      } else {
        await new Promise((resolve) => setTimeout(resolve, answer.error.retryAfter ?? 1_000));
      }
    }
    this.#sending = false;
  }

  /** A question that hears no answer is answered `busy`: the connection may be gone, and asking again is right. */
  async #ask<E extends EventName>(event: E, ask: Ask<E>): Promise<Answer<E>> {
    const socket = this.#socket.timeout(ANSWER_MS) as unknown as { emitWithAck(event: string, ask: object): Promise<Answer<E>> };
    return socket
      .emitWithAck(event, ask)
      .catch(() => ({ ok: false, error: { code: 'busy', message: 'The server does not answer.', retryable: true } }));
  }
}
