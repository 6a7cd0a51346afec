/** Actors that perform random actions in one room until they are stopped. */
import { type Client, connect, type Room, type RoomState } from '@engawa/client';
import type { Random } from '@engawa/client/testing';
import { createSocketIoTransportFactory } from '@engawa/client/transport';
import type { Ack, CommandName, ErrorPayload, ServerNotice } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';
import type { ReceivedEntry, ReceivedLog, SentCommand } from '../checkers/history.ts';
import { recordReceived } from '../checkers/recording.ts';
import type { RequestLog } from '../checkers/request-log.ts';

const REACTIONS = ['👍', '/', '%', '縁'];
/** The range of the pause between two actions, if not too many requests are pending. */
const ACTION_INTERVAL_MS = [20, 320] as const;
const MAX_IN_FLIGHT = 3;
const RETRY_DELAY_MS = 100;

export interface RandomActorOptions {
  url: string;
  roomId: string;
  name: string;
  requestLog: RequestLog;
  random: Random;
  delays: Parameters<typeof createSocketIoTransportFactory>[0];
  /** The range of the pause between two actions, in milliseconds. */
  pauseMs?: readonly [number, number] | undefined;
  /** The server may refuse requests for a while, and the log may lose its end, with a reset. */
  isShaky?: boolean | undefined;
}

/** An actor in one room that acts until it is stopped, whatever happens to its connections. */
export interface RandomActor {
  readonly roomId: string;
  readonly receivedLog: ReceivedLog;
  /** How often it became live. */
  readonly arrivals: number;
  /** Milliseconds that it was not live, each time. */
  readonly downtimesMs: number[];
  readonly isLive: boolean;
  readonly faults: string[];
  /** How often it received a reset. */
  readonly resets: number;
  isActive: boolean;
  /** Why it has not received everything up to this seq, or has pending requests; empty if it has. */
  whyNotCaughtUp(head: number): string;
  close(): void;
}

const pickRandom = <Item>(random: Random, items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];

/** Calls `act` again and again, after random pauses. Returns a function that stops it. */
function repeatAtRandom({ random, pauseMs = ACTION_INTERVAL_MS }: RandomActorOptions, act: () => void): () => void {
  const [least, most] = pauseMs;
  let timer: NodeJS.Timeout;
  const schedule = () => {
    timer = setTimeout(
      () => {
        act();
        schedule();
      },
      least + random() * (most - least),
    );
  };
  schedule();
  return () => clearTimeout(timer);
}

/** An actor with the SDK. */
export class SdkRandomActor implements RandomActor {
  readonly name: string;
  readonly roomId: string;
  readonly client: Client;
  readonly receivedLog: ReceivedLog;
  readonly faults: string[] = [];
  /** The states of the room, in order. */
  readonly states: string[] = [];
  room: Room | undefined;
  /** The position where the received entries start. */
  startSeq = 0;
  arrivals = 0;
  resets = 0;
  readonly downtimesMs: number[] = [];
  isActive = true;
  #leftAt = 0;
  readonly #random: Random;
  readonly #stopActing: () => void;
  #inFlight = 0;
  #sentCount = 0;

  constructor(options: RandomActorOptions) {
    const { url, roomId, name, requestLog, random, delays, isShaky = false } = options;
    this.name = name;
    this.roomId = roomId;
    this.#random = random;
    this.receivedLog = { client: name, entries: [], lastAcknowledged: 0 };
    this.client = connect(url, { createTransport: requestLog.forClient(name).wrapTransport(createSocketIoTransportFactory(delays)) });
    this.client.on('error', ({ code, message, retryable }) => {
      // The server may not listen yet, and the network may let no WebSocket through in time.
      if (code === 'unreachable' || code === 'websocket_failed') return;
      if (!retryable || !isShaky) this.faults.push(`${name} received an error: ${code}, ${message}`);
    });
    this.client.join(roomId, { username: name, create: true }).then(
      (room) => this.#onJoined(room, { requestLog, isShaky }),
      (error: Error) => this.faults.push(`${name} could not join: ${error.message}`),
    );
    this.#stopActing = repeatAtRandom(options, () => this.#act());
  }

  get isLive(): boolean {
    return this.room?.state === 'live';
  }

  whyNotCaughtUp(head: number): string {
    if (!this.room || !this.isLive) return `${this.name} is not live but ${this.room?.state ?? this.client.state}`;
    if (this.#inFlight > 0) return `${this.name} has ${this.#inFlight} commands on their way`;
    return this.room.position.seq < head ? `${this.name} is at ${this.room.position.seq} of ${head}` : '';
  }

  close(): void {
    this.#stopActing();
    void this.client.close();
  }

  #onJoined(room: Room, { requestLog, isShaky }: { requestLog: RequestLog; isShaky: boolean }): void {
    this.room = room;
    this.startSeq = room.position.seq;
    this.arrivals += 1;
    requestLog.rooms.get(room.id)?.receivedLogs.push(this.receivedLog);
    room.on('entry', (entry) => this.receivedLog.entries.push(entry as unknown as ReceivedEntry));
    room.on('state', (state) => this.#onStateChange(state));
    room.on('ended', ({ reason, error }) => this.faults.push(`The room of ${this.name} has ended: ${reason} ${error?.code ?? ''}`));
    room.on('reset', ({ reason }) => {
      this.resets += 1;
      this.receivedLog.entries.splice(0);
      this.startSeq = room.position.seq;
      if (!isShaky || reason !== 'reset') this.faults.push(`The room of ${this.name} was reset: ${reason}`);
    });
  }

  #onStateChange(state: RoomState): void {
    this.states.push(state);
    if (state === 'offline') this.#leftAt = performance.now();
    if (state !== 'live') return;
    this.arrivals += 1;
    if (this.#leftAt > 0) this.downtimesMs.push(performance.now() - this.#leftAt);
    this.#leftAt = 0;
  }

  #act(): void {
    if (!this.room || !this.isActive || this.#inFlight >= MAX_IN_FLIGHT) return;
    this.#inFlight += 1;
    void this.#performRandomAction(this.room).then(() => (this.#inFlight -= 1));
  }

  #performRandomAction(room: Room): Promise<unknown> {
    const chats = room.timeline.chats.filter(({ state, message }) => state === undefined && message !== null);
    const own = pickRandom(this.#random, chats.filter(({ username }) => username === this.name).slice(-20))?.seq;
    const any = pickRandom(this.#random, chats.slice(-50))?.seq;
    const reaction = pickRandom(this.#random, REACTIONS) ?? '';
    const dice = this.#random();
    if (dice < 0.1 && own !== undefined) return room.edit(own, this.#nextText());
    if (dice < 0.15 && own !== undefined) return room.delete(own);
    if (dice < 0.25 && any !== undefined) return room.react(any, reaction);
    if (dice < 0.3 && any !== undefined) return room.unreact(any, reaction);
    return room.send(this.#nextText()).settled;
  }

  #nextText(): string {
    this.#sentCount += 1;
    return `${this.name} ${this.#sentCount} ${'…'.repeat(this.#random() * 40)}`;
  }
}

/**
 * An actor with the plain Socket.IO client, used as in a tutorial: it joins at every connect, sends again what was not answered,
 * and knows nothing of logs. If its session is lost it takes another name.
 */
export class SocketIoRandomActor implements RandomActor {
  readonly faults: string[] = [];
  receivedLog: ReceivedLog;
  arrivals = 0;
  resets = 0;
  readonly downtimesMs: number[] = [];
  isActive = true;
  isLive = false;
  /** After a reset without a position, the received entries need not be in the log. */
  hasLostPosition = false;
  /**
   * Recovered connections; and the others: those of clients that had received nothing yet, and all else, which must not occur.
   */
  readonly reconnections = { recovered: 0, newcomers: 0, unknownClients: 0 };
  readonly #options: RandomActorOptions;
  readonly #socket: Socket;
  readonly #stopActing: () => void;
  #outbox = new Set<SentCommand>();
  #name: string;
  #actionCount = 0;
  #connections = 0;
  #leftAt = 0;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(options: RandomActorOptions, transports: string[]) {
    this.#options = options;
    this.#name = options.name;
    this.receivedLog = this.#newReceivedLog();
    const { firstMs, lastMs, openMs } = options.delays;
    const delays = { reconnectionDelay: firstMs, reconnectionDelayMax: lastMs, randomizationFactor: 1, timeout: openMs };
    this.#socket = io(options.url, { forceNew: true, transports, ...delays });
    recordReceived(this.#socket, () => this.receivedLog);
    this.#socket.on('connect', () => this.#onConnect());
    this.#socket.on('disconnect', () => this.#onDisconnect());
    this.#socket.on('reset:room', ({ seq }: ServerNotice<'reset:room'>) => this.#onReset(seq));
    // The server may rejoin a member without a request, and the actor may not learn of it.
    this.#socket.io.on('reconnect_attempt', () => void this.#recordRequest('add:member'));
    this.#stopActing = repeatAtRandom(options, () => this.#act());
  }

  get roomId(): string {
    return this.#options.roomId;
  }

  /** One at a time: a retry would come after later chats. */
  get #maxInFlight(): number {
    return this.#options.isShaky ? 1 : MAX_IN_FLIGHT;
  }

  whyNotCaughtUp(head: number): string {
    if (!this.isLive) return `${this.#name} is not there`;
    if (this.#outbox.size > 0) return `${this.#name} has ${this.#outbox.size} chats on their way`;
    const last = this.receivedLog.entries.at(-1)?.seq ?? 0;
    return last < head ? `${this.#name} has received up to ${last} of ${head}` : '';
  }

  close(): void {
    clearTimeout(this.#retryTimer);
    this.#stopActing();
    this.#socket.disconnect();
  }

  #onConnect(): void {
    this.#connections += 1;
    if (this.#socket.recovered) this.reconnections.recovered += 1;
    else if (this.receivedLog.entries.length > 0) this.reconnections.unknownClients += 1;
    else if (this.#actionCount > 0) this.reconnections.newcomers += 1;
    if (!this.#socket.recovered && this.#actionCount > 0) this.#changeName();
    this.#join();
  }

  #onDisconnect(): void {
    // Socket.IO buffers requests without a connection, and would send them on the next one, when the name may be another
    // member's.
    clearTimeout(this.#retryTimer);
    if (this.isLive) this.#leftAt = performance.now();
    this.isLive = false;
  }

  /** The log was replaced: later entries are lost, and it joins again, since its membership may be lost as well. */
  #onReset(seq: number): void {
    if (!this.#options.isShaky) this.faults.push(`The room of ${this.#name} was reset.`);
    this.resets += 1;
    this.isLive = false;
    clearTimeout(this.#retryTimer);
    this.hasLostPosition ||= seq === 0;
    this.receivedLog.entries.splice(0, Infinity, ...this.receivedLog.entries.filter((received) => received.seq <= seq));
    this.#join();
  }

  #changeName(): void {
    this.#name += "'";
    this.#outbox.clear();
    this.hasLostPosition = false;
    // A failed recovery is a sign of it, too.
    if (this.#options.isShaky) this.receivedLog.entries.splice(0);
    this.receivedLog = this.#newReceivedLog();
  }

  #join(): void {
    this.#actionCount += 1;
    const sent = this.#recordRequest('add:member');
    this.#send(sent, (answer) => {
      if (answer.ok) return this.#onJoined();
      if (answer.error.code !== 'room_not_found' && !this.#isTolerated(answer.error))
        this.faults.push(`${this.#name} could not join: ${answer.error.code}`);
      this.#retryTimer = setTimeout(() => this.#join(), RETRY_DELAY_MS);
    });
  }

  #onJoined(): void {
    this.isLive = true;
    this.arrivals += 1;
    if (this.#leftAt > 0) this.downtimesMs.push(performance.now() - this.#leftAt);
    for (const sent of this.#outbox) this.#sendChat(sent);
  }

  #act(): void {
    if (!this.isLive || !this.isActive || this.#outbox.size >= this.#maxInFlight) return;
    this.#actionCount += 1;
    const sent = this.#recordRequest('create:chat', {
      clientId: `${this.#name} ${this.#actionCount}`,
      message: `${this.#name} ${this.#actionCount}`,
    });
    this.#outbox.add(sent);
    this.#sendChat(sent);
  }

  #sendChat(sent: SentCommand): void {
    this.#send(sent, (answer) => {
      if (!answer.ok && this.#isTolerated(answer.error)) return this.#retryLater(sent, answer.error);
      this.#outbox.delete(sent);
      if (!answer.ok) this.faults.push(`${this.#name} could not say something: ${answer.error.code}`);
    });
  }

  /** Its membership may be lost, which it learns later. */
  #isTolerated({ code, retryable }: ErrorPayload): boolean {
    return this.#options.isShaky === true && (retryable || code === 'not_a_member');
  }

  #retryLater(sent: SentCommand, { code }: ErrorPayload): void {
    const connections = this.#connections;
    setTimeout(() => {
      if (connections !== this.#connections || !this.#outbox.has(sent)) return;
      if (code === 'not_a_member') this.#join();
      else this.#sendChat(sent);
    }, RETRY_DELAY_MS);
  }

  #send(sent: SentCommand, onAnswer: (answer: Ack<CommandName>) => void): void {
    const { requestLog } = this.#options;
    requestLog.recordRequest(sent.client, sent.event, sent.payload, sent);
    this.#socket.emit(sent.event, sent.payload, (answer: Ack<CommandName>) => {
      requestLog.recordAnswer(sent, answer);
      onAnswer(answer);
    });
  }

  #recordRequest(event: CommandName, fields: object = {}): SentCommand {
    const { requestLog, roomId } = this.#options;
    return requestLog.recordRequest(this.#name, event, { roomId, username: this.#name, ...fields });
  }

  #newReceivedLog(): ReceivedLog {
    const recorded: ReceivedLog = { client: this.#name, entries: [], lastAcknowledged: 0, omitsErasedEdits: true };
    this.#options.requestLog.rooms.get(this.#options.roomId)?.receivedLogs.push(recorded);
    return recorded;
  }
}
