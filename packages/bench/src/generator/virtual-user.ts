import { type Address, Connection } from './connection.ts';
import { clientFrame } from './frames.ts';
import { blankStamp, findStamp, writeStamp } from './timestamp-marker.ts';

/**
 * How a server is spoken to. `socket.io`: over Engine.IO, as stock clients do. `plain`: a server that knows nothing but rooms;
 * the address names one, and every text frame is told to it as it is. Chats are the same bytes in both.
 */
export type Dialect = 'socket.io' | 'plain';

export interface Membership {
  roomId: string;
  username: string;
  /** Shown when it connects: several connections with one are the same person. */
  session?: string | undefined;
}

/** What members share who are measured together: it is told what any of them hears. */
export interface MemberListener {
  onRead: (bytes: number) => void;
  onChat: (bytes: Buffer, start: number, end: number) => void;
  /** An acknowledgement of a chat, or a refusal without one. */
  onAnswer: (member: VirtualUser, isAccepted: boolean) => void;
  /** Ended by the server, after it had joined. */
  onLost: (member: VirtualUser, why: string) => void;
}

/** How one comes in; who only connects is in no room. */
export type JoinEvent = 'create:room' | 'add:member' | 'connect';

export interface ConnectOptions {
  address: Omit<Address, 'path'>;
  dialect: Dialect;
  audience: MemberListener;
}

interface Waiting {
  event: JoinEvent;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** The only answer under way, so that it needs no numbers. */
const JOIN_ID = 0;
const CHAT_ID = 1;
const [ZERO, TWO, THREE, FOUR] = [0x30, 0x32, 0x33, 0x34];
const PONG = clientFrame('3');
/** `42["create:chat…`, of which these two letters tell it from all other events. */
const EVENT_AT = 4;
const NOUN_AT = 11;
const LETTER_C = 0x63;
/** Of `42["error"`, the only event of that letter. */
const LETTER_E = 0x65;
/** Of a frame of ours, mask included; a length in it may look like anything. */
const HEAD_AT_MOST = 8;
const ACCEPTED = '"ok":true';

/** One who is in a room, over a connection of his own. */
export class VirtualUser {
  readonly place: Membership;
  readonly #audience: MemberListener;
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  #isJoined = false;
  #waiting: Waiting | undefined;
  #chat: { frame: Buffer; stampAt: number } | undefined;

  private constructor(place: Membership, { address, dialect, audience }: ConnectOptions) {
    this.place = place;
    this.#audience = audience;
    this.#dialect = dialect;
    const path = dialect === 'plain' ? `/?room=${place.roomId}` : '/socket.io/?EIO=4&transport=websocket';
    this.#connection = new Connection(
      { ...address, path },
      {
        onRead: audience.onRead,
        onFrame: (bytes, start, end) => this.#hear(bytes, start, end),
        onEnd: (why) => this.#end(why),
      },
    );
  }

  /** Rejects when it is refused, or the connection ends before. */
  static async join(place: Membership, way: ConnectOptions, entrance: JoinEvent): Promise<VirtualUser> {
    const member = new VirtualUser(place, way);
    await member.#untilIn(entrance);
    return member;
  }

  /** Keeps the bytes of a chat at hand; `message` is as long as a text is, stamp included. */
  prepare(textBytes: number, { acknowledged }: { acknowledged: boolean }): void {
    const { roomId, username } = this.place;
    const chat = JSON.stringify(['create:chat', { roomId, username, message: blankStamp().padEnd(textBytes, 'x') }]);
    const frame = clientFrame(`42${acknowledged ? CHAT_ID : ''}${chat}`);
    this.#chat = { frame, stampAt: findStamp(frame, HEAD_AT_MOST, frame.length) };
  }

  /** After `prepare`. */
  say(run: number, dueUs: number): void {
    const { frame, stampAt } = this.#chat as { frame: Buffer; stampAt: number };
    writeStamp(frame, stampAt, { run, dueUs });
    this.#connection.write(Buffer.from(frame));
  }

  stopReading(): void {
    this.#connection.stopReading();
  }

  async #untilIn(event: JoinEvent): Promise<void> {
    await new Promise<void>((resolve, reject) => (this.#waiting = { event, resolve, reject }));
    this.#waiting = undefined;
    this.#isJoined = true;
  }

  #hear(bytes: Buffer, start: number, end: number): void {
    const type = bytes[start + 1];
    if (bytes[start] !== FOUR) this.#serveEngine(bytes[start], end - start);
    else if (type === TWO && bytes[start + EVENT_AT] === LETTER_C && bytes[start + NOUN_AT] === LETTER_C)
      this.#audience.onChat(bytes, start, end);
    else if (this.#waiting !== undefined) this.#hearOfJoining(bytes.toString('utf8', start, end));
    else if (type === THREE) this.#audience.onAnswer(this, bytes.subarray(start, end).includes(ACCEPTED));
    else if (type === TWO && bytes[start + EVENT_AT] === LETTER_E) this.#audience.onAnswer(this, false);
  }

  /** Engine.IO's own packets; what says hello is answered by asking for the namespace. */
  #serveEngine(type: number | undefined, length: number): void {
    const { session } = this.place;
    if (type === TWO && length === 1) this.#connection.write(PONG);
    else if (type === ZERO && this.#dialect === 'plain') this.#waiting?.resolve();
    else if (type === ZERO) this.#connection.send(`40${session === undefined ? '' : JSON.stringify({ session })}`);
  }

  /** A server that does not acknowledge tells the room. */
  #hearOfJoining(packet: string): void {
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
    if (this.#isJoined) this.#audience.onLost(this, why);
  }
}
