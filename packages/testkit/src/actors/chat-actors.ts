/** Actors that chat in one room, over the SDK or over a plain Socket.IO client. */
import { type Client, type ClientOptions, connect, type OutgoingChat, type Room } from '@engawa/client';
import { createSocketIoTransport } from '@engawa/client/transport';
import type { Ack, CommandName, ErrorPayload, ServerNotice } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';
import { onTestFinished } from 'vitest';
import type { ReceivedEntry, ReceivedLog } from '../checkers/history.ts';
import { recordReceived } from '../checkers/recording.ts';
import type { ClientRequestLog } from '../checkers/request-log.ts';
import type { FaultyProxy } from '../proxies/faulty-proxy.ts';
import { until } from '../wait-for.ts';

export const ROOM = 'veranda';

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Milliseconds between two chats of an actor, so that receivers get their turn. */
const SEND_PAUSE_MS = 2;

/** What both kinds of actors have in common. */
export abstract class ChatActor {
  readonly name: string;
  readonly receivedLog: ReceivedLog;
  /** Connections that were lost. */
  drops = 0;
  /** The delays that the server announced for reconnecting. */
  readonly reconnectDelays: number[] = [];
  #sentCount = 0;
  #isSending = false;

  constructor(name: string) {
    this.name = name;
    this.receivedLog = { client: name, entries: [], lastAcknowledged: 0 };
  }

  /** Connected, and receiving live entries. */
  abstract get isLive(): boolean;

  get seqs(): number[] {
    return this.receivedLog.entries.map(({ seq }) => seq);
  }

  get texts(): unknown[] {
    return this.receivedLog.entries.filter(({ kind }) => kind === 'create:chat').map(({ message }) => message);
  }

  /** Sends this many chats; resolves when all are acknowledged. */
  async sendChats(count = 1, text = ''): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.send(this.#nextText(text))));
  }

  /** Sends one chat after the other, each after the acknowledgement or after a longer pause. Returns a function that stops it. */
  startSending(text = '', pauseMs = SEND_PAUSE_MS): () => void {
    this.#isSending = true;
    void this.#sendLoop(text, pauseMs);
    return () => (this.#isSending = false);
  }

  protected abstract send(message: string): Promise<unknown>;

  async #sendLoop(text: string, pauseMs: number): Promise<void> {
    while (this.#isSending) {
      await this.send(this.#nextText(text));
      await sleep(pauseMs);
    }
  }

  #nextText(text: string): string {
    this.#sentCount += 1;
    return `${this.name} ${this.#sentCount}${text}`;
  }
}

/** An actor with the SDK. */
export class SdkActor extends ChatActor {
  readonly client: Client;
  readonly chats: OutgoingChat[] = [];
  /** The errors of the client. */
  readonly errors: ErrorPayload[] = [];
  readonly resets: string[] = [];
  /** The position where the received entries start. */
  startSeq = 0;
  #room: Room | undefined;

  constructor(name: string, url: string, { requestLog, ...options }: ClientOptions & { requestLog: ClientRequestLog }) {
    super(name);
    const createTransport = requestLog.wrapTransport((to, listeners) => {
      const onEvent = (event: string, payload: unknown) => {
        if (event === 'server:closing') this.reconnectDelays.push((payload as ServerNotice<'server:closing'>).reconnectAfterMs);
        listeners.onEvent(event, payload);
      };
      return createSocketIoTransport(to, { ...listeners, onConnect: () => listeners.onConnect(), onEvent });
    });
    this.client = connect(url, { createTransport, ...options });
    this.client.on('error', (error) => {
      if (error.address === undefined) this.errors.push(error);
    });
    this.client.on('state', (state) => {
      if (state === 'reconnecting') this.drops += 1;
    });
    onTestFinished(() => this.client.close());
  }

  override get isLive(): boolean {
    return this.#room?.state === 'live';
  }

  get room(): Room {
    if (!this.#room) throw new Error(`${this.name} is not in the room.`);
    return this.#room;
  }

  async join(): Promise<void> {
    const room = await this.client.join(ROOM, { username: this.name, create: true });
    this.#room = room;
    this.startSeq = room.position.seq;
    room.on('entry', (entry) => this.receivedLog.entries.push(entry as unknown as ReceivedEntry));
    room.on('reset', ({ reason }) => {
      this.resets.push(reason);
      this.receivedLog.entries.splice(0);
      this.startSeq = room.position.seq;
    });
  }

  protected override send(message: string): Promise<unknown> {
    const chat = this.room.send(message);
    this.chats.push(chat);
    return chat.settled;
  }
}

/** An actor with the plain Socket.IO client, which retries and reconnects by itself. */
export class SocketIoActor extends ChatActor {
  readonly socket: Socket;
  /** Numbers of reconnects, and of recovered ones. */
  reconnects = 0;
  recoveries = 0;
  unanswered = 0;
  /** Number of resets of the log. */
  resets = 0;
  readonly #requestLog: ClientRequestLog;

  constructor(name: string, url: string, requestLog: ClientRequestLog) {
    super(name);
    this.#requestLog = requestLog;
    this.socket = io(url, {
      forceNew: true,
      transports: ['websocket'],
      reconnectionDelay: 100,
      reconnectionDelayMax: 1_000,
      retries: 1_000,
      ackTimeout: 10_000,
    });
    recordReceived(this.socket, () => this.receivedLog);
    this.socket.on('reset:room', ({ seq }: ServerNotice<'reset:room'>) => {
      this.resets += 1;
      this.receivedLog.entries.splice(0, Infinity, ...this.receivedLog.entries.filter((received) => received.seq <= seq));
    });
    this.socket.on('server:closing', ({ reconnectAfterMs }: ServerNotice<'server:closing'>) => this.reconnectDelays.push(reconnectAfterMs));
    this.socket.on('disconnect', () => {
      this.drops += 1;
    });
    this.socket.on('connect', () => {
      if (this.drops > 0) this.reconnects += 1;
      if (this.socket.recovered) this.#onRecovered();
    });
    onTestFinished(() => void this.socket.disconnect());
  }

  override get isLive(): boolean {
    return this.socket.connected;
  }

  async join(): Promise<void> {
    await this.#request('add:member', {});
  }

  protected override send(message: string): Promise<unknown> {
    return this.#request('create:chat', { message, clientId: message });
  }

  /** An expired guest joins again by recovering. */
  #onRecovered(): void {
    this.recoveries += 1;
    this.#requestLog.recordRequest('add:member', { roomId: ROOM, username: this.name });
  }

  async #request(event: CommandName, fields: object): Promise<void> {
    const payload = { roomId: ROOM, username: this.name, ...fields };
    const sent = this.#requestLog.recordRequest(event, payload);
    this.unanswered += 1;
    this.#requestLog.recordAnswer(sent, (await this.socket.emitWithAck(event, payload)) as Ack<CommandName>);
    this.unanswered -= 1;
  }
}

/** Disconnects all clients behind the proxy. Returns a function that lets them reconnect. */
export async function disconnectAll(proxy: FaultyProxy, ...actors: ChatActor[]): Promise<() => void> {
  const before = actors.map(({ drops }) => drops);
  proxy.refuse(true);
  proxy.cut();
  await until(() => actors.every(({ drops }, place) => drops > (before[place] ?? 0)), 'they dropped');
  return () => proxy.refuse(false);
}

/** All actors send chats. Returns a function that stops them. */
export function startAllSending(actors: ChatActor[]): () => void {
  const stops = actors.map((person) => person.startSending());
  return () => {
    for (const stop of stops) stop();
  };
}
