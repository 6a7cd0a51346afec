/** People in one room, over real sockets: with the SDK, or with a stock client of Socket.IO. */
import { type Client, type ClientOptions, connect, type OutgoingChat, type Room } from '@engawa/client';
import type { Answer, CommandName, Notice, WireError } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';
import { onTestFinished } from 'vitest';
import { socketLink } from '#socket-link.js';
import type { Heard, Hearing } from '../../../server/test/helpers/history.ts';
import type { FaultyProxy } from '../../../server/test/helpers/proxy.ts';
import { recordHeard } from '../../../server/test/helpers/recording.ts';
import { until } from '../../../server/test/helpers/waiting.ts';
import type { Pen } from './recorder.ts';

export const ROOM = 'veranda';

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What a talker leaves between two chats, so that those who listen have a turn. */
const BREATH_MS = 2;

/** What both kinds have in common. */
export abstract class Person {
  readonly name: string;
  readonly hearing: Hearing;
  /** Connections that were lost. */
  drops = 0;
  /** When the server told him to come back. */
  readonly returnAfter: number[] = [];
  #said = 0;
  #isTalking = false;

  constructor(name: string) {
    this.name = name;
    this.hearing = { client: name, heard: [], acked: 0 };
  }

  /** Connected, and told everything as it happens. */
  abstract get isHere(): boolean;

  get seqs(): number[] {
    return this.hearing.heard.map(({ seq }) => seq);
  }

  get texts(): unknown[] {
    return this.hearing.heard.filter(({ kind }) => kind === 'create:chat').map(({ message }) => message);
  }

  /** Says so many things; resolves when all are kept. */
  async say(count = 1, text = ''): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.send(this.#next(text))));
  }

  /** Says one thing after the other, as fast as they are kept or with longer pauses, until what this returns is called. */
  talk(text = '', breathMs = BREATH_MS): () => void {
    this.#isTalking = true;
    void this.#talkOn(text, breathMs);
    return () => (this.#isTalking = false);
  }

  protected abstract send(message: string): Promise<unknown>;

  async #talkOn(text: string, breathMs: number): Promise<void> {
    while (this.#isTalking) {
      await this.send(this.#next(text));
      await pause(breathMs);
    }
  }

  #next(text: string): string {
    this.#said += 1;
    return `${this.name} ${this.#said}${text}`;
  }
}

/** With the SDK. */
export class SdkPerson extends Person {
  readonly client: Client;
  readonly chats: OutgoingChat[] = [];
  /** What the server refused. */
  readonly errors: WireError[] = [];
  readonly resets: string[] = [];
  /** Where his hearing begins. */
  begin = 0;
  #room: Room | undefined;

  constructor(name: string, url: string, { pen, ...options }: ClientOptions & { pen: Pen }) {
    super(name);
    const link = pen.link((to, listeners) => {
      const heard = (event: string, payload: unknown) => {
        if (event === 'close:connection') this.returnAfter.push((payload as Notice<'close:connection'>).returnAfter);
        listeners.heard(event, payload);
      };
      return socketLink(to, { ...listeners, up: () => listeners.up(), heard });
    });
    this.client = connect(url, { link, ...options });
    this.client.on('error', (error) => {
      if (error.address === undefined) this.errors.push(error);
    });
    this.client.on('state', (state) => {
      if (state === 'reconnecting') this.drops += 1;
    });
    onTestFinished(() => this.client.close());
  }

  override get isHere(): boolean {
    return this.#room?.state === 'live';
  }

  get room(): Room {
    if (!this.#room) throw new Error(`${this.name} is not in the room.`);
    return this.#room;
  }

  async join(): Promise<void> {
    const room = await this.client.join(ROOM, { username: this.name, create: true });
    this.#room = room;
    this.begin = room.position.seq;
    room.on('entry', (entry) => this.hearing.heard.push(entry as unknown as Heard));
    room.on('reset', ({ reason }) => {
      this.resets.push(reason);
      this.hearing.heard.splice(0);
      this.begin = room.position.seq;
    });
  }

  protected override send(message: string): Promise<unknown> {
    const chat = this.room.send(message);
    this.chats.push(chat);
    return chat.settled;
  }
}

/** With Socket.IO's own client as it is, which retries and comes back by itself. */
export class StockPerson extends Person {
  readonly socket: Socket;
  /** Times that he came back, and that he was recovered. */
  returns = 0;
  recovered = 0;
  waiting = 0;
  /** Times that he was told that the log is another one. */
  resets = 0;
  readonly #pen: Pen;

  constructor(name: string, url: string, pen: Pen) {
    super(name);
    this.#pen = pen;
    this.socket = io(url, {
      forceNew: true,
      transports: ['websocket'],
      reconnectionDelay: 100,
      reconnectionDelayMax: 1_000,
      retries: 1_000,
      ackTimeout: 10_000,
    });
    recordHeard(this.socket, () => this.hearing);
    this.socket.on('reset:room', ({ seq }: Notice<'reset:room'>) => {
      this.resets += 1;
      this.hearing.heard.splice(0, Infinity, ...this.hearing.heard.filter((heard) => heard.seq <= seq));
    });
    this.socket.on('close:connection', ({ returnAfter }: Notice<'close:connection'>) => this.returnAfter.push(returnAfter));
    this.socket.on('disconnect', () => {
      this.drops += 1;
    });
    this.socket.on('connect', () => {
      if (this.drops > 0) this.returns += 1;
      if (this.socket.recovered) this.#isRecovered();
    });
    onTestFinished(() => void this.socket.disconnect());
  }

  override get isHere(): boolean {
    return this.socket.connected;
  }

  async join(): Promise<void> {
    await this.#ask('add:member', {});
  }

  protected override send(message: string): Promise<unknown> {
    return this.#ask('create:chat', { message, clientId: message });
  }

  /** A guest whose name lapsed joins by coming back. */
  #isRecovered(): void {
    this.recovered += 1;
    this.#pen.asked('add:member', { roomId: ROOM, username: this.name });
  }

  async #ask(event: CommandName, fields: object): Promise<void> {
    const payload = { roomId: ROOM, username: this.name, ...fields };
    const sent = this.#pen.asked(event, payload);
    this.waiting += 1;
    this.#pen.answered(sent, (await this.socket.emitWithAck(event, payload)) as Answer<CommandName>);
    this.waiting -= 1;
  }
}

/** Nobody behind the proxy is connected until what this returns is called. */
export async function away(proxy: FaultyProxy, ...people: Person[]): Promise<() => void> {
  const before = people.map(({ drops }) => drops);
  proxy.refuse(true);
  proxy.cut();
  await until(() => people.every(({ drops }, place) => drops > (before[place] ?? 0)), 'they dropped');
  return () => proxy.refuse(false);
}

/** All talk until what this returns is called. */
export function talkAll(people: Person[]): () => void {
  const hushes = people.map((person) => person.talk());
  return () => {
    for (const hush of hushes) hush();
  };
}
