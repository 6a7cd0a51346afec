import { type Client, connect, type Room, type RoomState } from '@engawa/client';
import type { Random } from '@engawa/client/testing';
import type { Answer, CommandName, Notice, WireError } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';
import { socketLinkWith } from '#socket-link.js';
import type { Heard, Hearing, Sent } from '../../../server/test/helpers/history.ts';
import { recordHeard } from '../../../server/test/helpers/recording.ts';
import type { Recorder } from './recorder.ts';

const REACTIONS = ['👍', '/', '%', '縁'];
/** A talker does something so often, if he has not yet so much on its way. */
const PAUSE_MS = [20, 320] as const;
const ON_ITS_WAY = 3;
const ASK_AGAIN_MS = 100;

export interface TalkerOptions {
  url: string;
  roomId: string;
  name: string;
  recorder: Recorder;
  random: Random;
  delays: Parameters<typeof socketLinkWith>[0];
  /** Least and most milliseconds between two things that he does. */
  pauseMs?: readonly [number, number] | undefined;
  /** What is refused for a while is told as an error, and the log may lose its end, of which he is told, too. */
  isShaky?: boolean | undefined;
}

/** Somebody in one room, who talks until he is told to be quiet, whatever becomes of his connections. */
export interface Talker {
  readonly roomId: string;
  readonly hearing: Hearing;
  /** How often he has come (back) to where he is told everything. */
  readonly returns: number;
  /** Milliseconds that he was gone from there, each time. */
  readonly away: number[];
  readonly isThere: boolean;
  readonly faults: string[];
  /** How often he was told that the log is another one. */
  readonly resets: number;
  isTalking: boolean;
  /** Why he has not everything up to this seq, or not everything said; empty when he has. */
  waitsFor(head: number): string;
  close(): void;
}

const anyOf = <Item>(random: Random, items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];

/** Calls again and again, with pauses by chance, until it is ended. */
function everyNowAndThen({ random, pauseMs = PAUSE_MS }: TalkerOptions, act: () => void): () => void {
  const [least, most] = pauseMs;
  let timer: NodeJS.Timeout;
  const rest = () => {
    timer = setTimeout(
      () => {
        act();
        rest();
      },
      least + random() * (most - least),
    );
  };
  rest();
  return () => clearTimeout(timer);
}

/** One who uses the SDK. */
export class SdkTalker implements Talker {
  readonly name: string;
  readonly roomId: string;
  readonly client: Client;
  readonly hearing: Hearing;
  readonly faults: string[] = [];
  /** States of the room, in the order in which they came. */
  readonly states: string[] = [];
  room: Room | undefined;
  /** The position at which the hearing began. */
  begin = 0;
  returns = 0;
  resets = 0;
  readonly away: number[] = [];
  isTalking = true;
  #leftAt = 0;
  readonly #random: Random;
  readonly #end: () => void;
  #onTheirWay = 0;
  #said = 0;

  constructor(options: TalkerOptions) {
    const { url, roomId, name, recorder, random, delays, isShaky = false } = options;
    this.name = name;
    this.roomId = roomId;
    this.#random = random;
    this.hearing = { client: name, heard: [], acked: 0 };
    this.client = connect(url, { link: recorder.pen(name).link(socketLinkWith(delays)) });
    this.client.on('error', ({ code, message, retryable }) => {
      // It may be there before the server is, and polls where the network lets no WebSocket through in time.
      if (code === 'unreachable' || code === 'websocket_failed') return;
      if (!retryable || !isShaky) this.faults.push(`${name} was told of an error: ${code}, ${message}`);
    });
    this.client.join(roomId, { username: name, create: true }).then(
      (room) => this.#joined(room, { recorder, isShaky }),
      (error: Error) => this.faults.push(`${name} could not join: ${error.message}`),
    );
    this.#end = everyNowAndThen(options, () => this.#act());
  }

  get isThere(): boolean {
    return this.room?.state === 'live';
  }

  waitsFor(head: number): string {
    if (!this.room || !this.isThere) return `${this.name} is not live but ${this.room?.state ?? this.client.state}`;
    if (this.#onTheirWay > 0) return `${this.name} has ${this.#onTheirWay} commands on their way`;
    return this.room.position.seq < head ? `${this.name} is at ${this.room.position.seq} of ${head}` : '';
  }

  close(): void {
    this.#end();
    void this.client.close();
  }

  #joined(room: Room, { recorder, isShaky }: { recorder: Recorder; isShaky: boolean }): void {
    this.room = room;
    this.begin = room.position.seq;
    this.returns += 1;
    recorder.rooms.get(room.id)?.hearings.push(this.hearing);
    room.on('entry', (entry) => this.hearing.heard.push(entry as unknown as Heard));
    room.on('state', (state) => this.#stateChanged(state));
    room.on('ended', ({ reason, error }) => this.faults.push(`The room of ${this.name} has ended: ${reason} ${error?.code ?? ''}`));
    room.on('reset', ({ reason }) => {
      this.resets += 1;
      this.hearing.heard.splice(0);
      this.begin = room.position.seq;
      if (!isShaky || reason !== 'reset') this.faults.push(`The room of ${this.name} was reset: ${reason}`);
    });
  }

  #stateChanged(state: RoomState): void {
    this.states.push(state);
    if (state === 'offline') this.#leftAt = performance.now();
    if (state !== 'live') return;
    this.returns += 1;
    if (this.#leftAt > 0) this.away.push(performance.now() - this.#leftAt);
    this.#leftAt = 0;
  }

  #act(): void {
    if (!this.room || !this.isTalking || this.#onTheirWay >= ON_ITS_WAY) return;
    this.#onTheirWay += 1;
    void this.#doSomething(this.room).then(() => (this.#onTheirWay -= 1));
  }

  #doSomething(room: Room): Promise<unknown> {
    const told = room.timeline.chats.filter(({ state, message }) => state === undefined && message !== null);
    const own = anyOf(this.#random, told.filter(({ username }) => username === this.name).slice(-20))?.seq;
    const any = anyOf(this.#random, told.slice(-50))?.seq;
    const reaction = anyOf(this.#random, REACTIONS) ?? '';
    const dice = this.#random();
    if (dice < 0.1 && own !== undefined) return room.edit(own, this.#words());
    if (dice < 0.15 && own !== undefined) return room.delete(own);
    if (dice < 0.25 && any !== undefined) return room.react(any, reaction);
    if (dice < 0.3 && any !== undefined) return room.unreact(any, reaction);
    return room.send(this.#words()).settled;
  }

  #words(): string {
    this.#said += 1;
    return `${this.name} ${this.#said} ${'…'.repeat(this.#random() * 40)}`;
  }
}

/**
 * One who uses the client of Socket.IO as a tutorial does: joins at every connect, sends again what was not answered,
 * and knows nothing of logs. If he comes back as nobody he takes another name.
 */
export class StockTalker implements Talker {
  readonly faults: string[] = [];
  hearing: Hearing;
  returns = 0;
  resets = 0;
  readonly away: number[] = [];
  isTalking = true;
  isThere = false;
  /** He was told that nothing of what he heard need be in the log, and not where he is in it. */
  isAstray = false;
  /** Connections that were recovered; of the others: those of who had heard nothing yet, and all else, which must not be. */
  readonly comebacks = { recovered: 0, newcomers: 0, strangers: 0 };
  readonly #options: TalkerOptions;
  readonly #socket: Socket;
  readonly #end: () => void;
  #outbox = new Set<Sent>();
  #name: string;
  #made = 0;
  #connections = 0;
  #leftAt = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(options: TalkerOptions, transports: string[]) {
    this.#options = options;
    this.#name = options.name;
    this.hearing = this.#newHearing();
    const { firstMs, lastMs, openMs } = options.delays;
    const delays = { reconnectionDelay: firstMs, reconnectionDelayMax: lastMs, randomizationFactor: 1, timeout: openMs };
    this.#socket = io(options.url, { forceNew: true, transports, ...delays });
    recordHeard(this.#socket, () => this.hearing);
    this.#socket.on('connect', () => this.#connected());
    this.#socket.on('disconnect', () => this.#disconnected());
    this.#socket.on('reset:room', ({ seq }: Notice<'reset:room'>) => this.#reset(seq));
    // A server may let somebody in again, for which he need not ask, and he may not learn of it.
    this.#socket.io.on('reconnect_attempt', () => void this.#asked('add:member'));
    this.#end = everyNowAndThen(options, () => this.#act());
  }

  get roomId(): string {
    return this.#options.roomId;
  }

  /** What is tried again later would come after what was said meanwhile. */
  get #mostOnItsWay(): number {
    return this.#options.isShaky ? 1 : ON_ITS_WAY;
  }

  waitsFor(head: number): string {
    if (!this.isThere) return `${this.#name} is not there`;
    if (this.#outbox.size > 0) return `${this.#name} has ${this.#outbox.size} chats on their way`;
    const last = this.hearing.heard.at(-1)?.seq ?? 0;
    return last < head ? `${this.#name} has heard up to ${last} of ${head}` : '';
  }

  close(): void {
    clearTimeout(this.#again);
    this.#end();
    this.#socket.disconnect();
  }

  #connected(): void {
    this.#connections += 1;
    if (this.#socket.recovered) this.comebacks.recovered += 1;
    else if (this.hearing.heard.length > 0) this.comebacks.strangers += 1;
    else if (this.#made > 0) this.comebacks.newcomers += 1;
    if (!this.#socket.recovered && this.#made > 0) this.#becomeAnother();
    this.#join();
  }

  #disconnected(): void {
    // What is asked without a connection Socket.IO asks on the next, by then under a name that is another's perhaps.
    clearTimeout(this.#again);
    if (this.isThere) this.#leftAt = performance.now();
    this.isThere = false;
  }

  /** The log is another one: what came after that is unsaid, and he joins anew, for his name may be lost with it. */
  #reset(seq: number): void {
    if (!this.#options.isShaky) this.faults.push(`The room of ${this.#name} was reset.`);
    this.resets += 1;
    this.isThere = false;
    clearTimeout(this.#again);
    this.isAstray ||= seq === 0;
    this.hearing.heard.splice(0, Infinity, ...this.hearing.heard.filter((heard) => heard.seq <= seq));
    this.#join();
  }

  #becomeAnother(): void {
    this.#name += "'";
    this.#outbox.clear();
    this.isAstray = false;
    // Who is not recovered is told by that, too.
    if (this.#options.isShaky) this.hearing.heard.splice(0);
    this.hearing = this.#newHearing();
  }

  #join(): void {
    this.#made += 1;
    const sent = this.#asked('add:member');
    this.#ask(sent, (answer) => {
      if (answer.ok) return this.#joined();
      if (answer.error.code !== 'room_not_found' && !this.#isBearable(answer.error))
        this.faults.push(`${this.#name} could not join: ${answer.error.code}`);
      this.#again = setTimeout(() => this.#join(), ASK_AGAIN_MS);
    });
  }

  #joined(): void {
    this.isThere = true;
    this.returns += 1;
    if (this.#leftAt > 0) this.away.push(performance.now() - this.#leftAt);
    for (const sent of this.#outbox) this.#say(sent);
  }

  #act(): void {
    if (!this.isThere || !this.isTalking || this.#outbox.size >= this.#mostOnItsWay) return;
    this.#made += 1;
    const sent = this.#asked('create:chat', { clientId: `${this.#name} ${this.#made}`, message: `${this.#name} ${this.#made}` });
    this.#outbox.add(sent);
    this.#say(sent);
  }

  #say(sent: Sent): void {
    this.#ask(sent, (answer) => {
      if (!answer.ok && this.#isBearable(answer.error)) return this.#tryLater(sent, answer.error);
      this.#outbox.delete(sent);
      if (!answer.ok) this.faults.push(`${this.#name} could not say something: ${answer.error.code}`);
    });
  }

  /** His membership may be lost, of which he is told later. */
  #isBearable({ code, retryable }: WireError): boolean {
    return this.#options.isShaky === true && (retryable || code === 'not_a_member');
  }

  #tryLater(sent: Sent, { code }: WireError): void {
    const connections = this.#connections;
    setTimeout(() => {
      if (connections !== this.#connections || !this.#outbox.has(sent)) return;
      if (code === 'not_a_member') this.#join();
      else this.#say(sent);
    }, ASK_AGAIN_MS);
  }

  #ask(sent: Sent, then: (answer: Answer<CommandName>) => void): void {
    const { recorder } = this.#options;
    recorder.asked(sent.client, sent.event, sent.payload, sent);
    this.#socket.emit(sent.event, sent.payload, (answer: Answer<CommandName>) => {
      recorder.answered(sent, answer);
      then(answer);
    });
  }

  #asked(event: CommandName, fields: object = {}): Sent {
    const { recorder, roomId } = this.#options;
    return recorder.asked(this.#name, event, { roomId, username: this.#name, ...fields });
  }

  #newHearing(): Hearing {
    const hearing: Hearing = { client: this.#name, heard: [], acked: 0, lacksErased: true };
    this.#options.recorder.rooms.get(this.#options.roomId)?.hearings.push(hearing);
    return hearing;
  }
}
