// A member with as little work per event as possible, so that the load is not the limit.
import { type Address, Connection } from './connection.ts';
import { clientFrame } from './frames.ts';
import { blankStamp, findStamp, writeStamp } from './timestamp-marker.ts';

/**
 * The protocol of a server. `socket.io`: over Engine.IO, as Socket.IO clients. `plain`: the address names a room, and the
 * server sends each text frame to all of that room, unchanged. Chats are the same bytes in both.
 */
export type Dialect = 'socket.io' | 'plain';

export interface Membership {
  roomId: string;
  username: string;
  /** Several connections with the same session are the same person. */
  session?: string | undefined;
}

/** Receives the events of all members that are measured together. */
export interface MemberListener {
  onRead: (bytes: number) => void;
  onChat: (bytes: Buffer, start: number, end: number) => void;
  /** The acknowledgement of a chat, or a refusal. */
  onAnswer: (member: VirtualUser, isAccepted: boolean) => void;
  /** The server closed the connection after the join. */
  onLost: (member: VirtualUser, why: string) => void;
}

/** How a member joins; `connect` joins no room. */
export type JoinEvent = 'create:room' | 'add:member' | 'connect';

export interface ConnectOptions {
  address: Omit<Address, 'path'>;
  dialect: Dialect;
  listener: MemberListener;
}

interface Waiting {
  event: JoinEvent;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Ids of acknowledgements; one of each is pending at a time. */
const JOIN_ID = 0;
const CHAT_ID = 1;
const [ZERO, TWO, THREE, FOUR] = [0x30, 0x32, 0x33, 0x34];
const PONG = clientFrame('3');
/** Two letters distinguish `42["create:chat…` from all other events. */
const EVENT_AT = 4;
const NOUN_AT = 11;
const LETTER_C = 0x63;
/** `42["error"` is the only event that begins with this letter. */
const LETTER_E = 0x65;
/** Length of the head of a client frame with its mask: a stamp cannot be in it. */
const MAX_HEAD = 8;
const ACCEPTED = '"ok":true';

export class VirtualUser {
  readonly place: Membership;
  readonly #listener: MemberListener;
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  #isJoined = false;
  #waiting: Waiting | undefined;
  #chat: { frame: Buffer; stampAt: number } | undefined;

  private constructor(place: Membership, { address, dialect, listener }: ConnectOptions) {
    this.place = place;
    this.#listener = listener;
    this.#dialect = dialect;
    const path = dialect === 'plain' ? `/?room=${place.roomId}` : '/socket.io/?EIO=4&transport=websocket';
    this.#connection = new Connection(
      { ...address, path },
      {
        onRead: listener.onRead,
        onFrame: (bytes, start, end) => this.#receive(bytes, start, end),
        onEnd: (why) => this.#end(why),
      },
    );
  }

  /** Rejects if the server refuses, or the connection ends before. */
  static async join(place: Membership, options: ConnectOptions, event: JoinEvent): Promise<VirtualUser> {
    const member = new VirtualUser(place, options);
    await member.#untilJoined(event);
    return member;
  }

  /** Builds the frame of a chat once; `textBytes` is the length of its text with the stamp. */
  prepare(textBytes: number, { acknowledged }: { acknowledged: boolean }): void {
    const { roomId, username } = this.place;
    const chat = JSON.stringify(['create:chat', { roomId, username, message: blankStamp().padEnd(textBytes, 'x') }]);
    const frame = clientFrame(`42${acknowledged ? CHAT_ID : ''}${chat}`);
    this.#chat = { frame, stampAt: findStamp(frame, MAX_HEAD, frame.length) };
  }

  /** After `prepare`. */
  send(run: number, dueUs: number): void {
    const { frame, stampAt } = this.#chat as { frame: Buffer; stampAt: number };
    writeStamp(frame, stampAt, { run, dueUs });
    this.#connection.write(Buffer.from(frame));
  }

  stopReading(): void {
    this.#connection.stopReading();
  }

  async #untilJoined(event: JoinEvent): Promise<void> {
    await new Promise<void>((resolve, reject) => (this.#waiting = { event, resolve, reject }));
    this.#waiting = undefined;
    this.#isJoined = true;
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    const type = bytes[start + 1];
    if (bytes[start] !== FOUR) this.#answerEngine(bytes[start], end - start);
    else if (type === TWO && bytes[start + EVENT_AT] === LETTER_C && bytes[start + NOUN_AT] === LETTER_C)
      this.#listener.onChat(bytes, start, end);
    else if (this.#waiting !== undefined) this.#receiveWhileJoining(bytes.toString('utf8', start, end));
    else if (type === THREE) this.#listener.onAnswer(this, bytes.subarray(start, end).includes(ACCEPTED));
    else if (type === TWO && bytes[start + EVENT_AT] === LETTER_E) this.#listener.onAnswer(this, false);
  }

  /** Engine.IO's packets. The handshake is answered with CONNECT. */
  #answerEngine(type: number | undefined, length: number): void {
    const { session } = this.place;
    if (type === TWO && length === 1) this.#connection.write(PONG);
    else if (type === ZERO && this.#dialect === 'plain') this.#waiting?.resolve();
    else if (type === ZERO) this.#connection.send(`40${session === undefined ? '' : JSON.stringify({ session })}`);
  }

  /** A server that does not acknowledge broadcasts the join. */
  #receiveWhileJoining(packet: string): void {
    const { event, resolve, reject } = this.#waiting as Waiting;
    const { roomId, username } = this.place;
    const isSuccess = packet.startsWith(`42["${event}:success"`) && packet.includes(`"username":${JSON.stringify(username)}`);
    const isAccepted = packet.startsWith(`43${JOIN_ID}`) && packet.includes(ACCEPTED);
    const isConnected = packet.startsWith('40');
    if (isConnected && event !== 'connect') this.#connection.send(`42${JOIN_ID}${JSON.stringify([event, { roomId, username }])}`);
    else if (isConnected || isAccepted || isSuccess) resolve();
    else if (/^4(?:3|4|2\["error")/.test(packet)) reject(new Error(packet.slice(0, 200)));
  }

  #end(why: string): void {
    this.#waiting?.reject(new Error(why));
    if (this.#isJoined) this.#listener.onLost(this, why);
  }
}
