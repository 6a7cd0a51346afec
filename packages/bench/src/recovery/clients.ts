import type { Ack, EntryFields, MissedEntry, RequestInput, ResumeResult } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';

/** A member who loses his connection and comes back for what he missed. */
export interface RecoveringClient {
  join(): Promise<void>;
  /** Connected again; what he missed is heard from now on, or was already. Resolves with what `socket.recovered` says, if asked. */
  reconnect(): Promise<boolean | undefined>;
  leave(): void;
}

interface Reading {
  url: string;
  roomId: string;
  /** Is given the text of each chat. */
  hear: (text: string) => void;
}

const CHAT_HEARD = 'create:chat:success';
const PAGE = 500;
const CONNECT_MS = 60_000;

/** The client of Socket.IO and nothing else: it shows by itself which connection it was, and the last event that it heard. */
export class StockClient implements RecoveringClient {
  readonly #reading: Reading;
  readonly #socket: Socket;

  constructor(reading: Reading) {
    this.#reading = reading;
    this.#socket = newSocket(reading.url);
    this.#socket.on(CHAT_HEARD, ({ message }: { message: string }) => reading.hear(message));
  }

  async join(): Promise<void> {
    await connected(this.#socket);
    await this.#socket.emitWithAck('add:member', placeIn(this.#reading.roomId));
  }

  async reconnect(): Promise<boolean> {
    await connected(this.#socket);
    return this.#socket.recovered;
  }

  leave(): void {
    this.#socket.disconnect();
  }
}

type Position = Pick<RequestInput<'resume:rooms'>['rooms'][number], 'epoch' | 'seq' | 'id'>;

/** Asks `resume:rooms` with the session and the position that he has, as after the reload of a page: with another socket. */
export class ResumingClient implements RecoveringClient {
  readonly #reading: Reading;
  #socket: Socket;
  #session = '';
  #position: Position = { epoch: '', seq: 0 };

  constructor(reading: Reading) {
    this.#reading = reading;
    this.#socket = newSocket(reading.url);
  }

  async join(): Promise<void> {
    this.#listen();
    await connected(this.#socket);
    const answer = (await this.#socket.emitWithAck('add:member', placeIn(this.#reading.roomId))) as Ack<'add:member'>;
    if (!answer.ok) throw new Error(`The reader was refused: ${answer.error.code}`);
    this.#session = answer.session;
    this.#position = { epoch: answer.epoch, seq: answer.seq, id: answer.tail };
  }

  async reconnect(): Promise<undefined> {
    this.#socket = newSocket(this.#reading.url, this.#session);
    await connected(this.#socket);
    let room = await this.#resume();
    while (room.outcome === 'more') room = await this.#resume();
    if (room.outcome !== 'caught_up') throw new Error(`The reader could not resume: ${JSON.stringify(room).slice(0, 500)}`);
    this.#listen();
  }

  leave(): void {
    this.#socket.disconnect();
  }

  #listen(): void {
    this.#socket.on(CHAT_HEARD, ({ message, ...entry }: EntryFields & { message: string }) => {
      this.#position = positionAt(entry);
      this.#reading.hear(message);
    });
  }

  async #resume(): Promise<ResumeResult> {
    const ask: RequestInput<'resume:rooms'> = { rooms: [{ ...placeIn(this.#reading.roomId), ...this.#position }], limit: PAGE };
    const answer = (await this.#socket.emitWithAck('resume:rooms', ask)) as Ack<'resume:rooms'>;
    const room = answer.ok ? answer.rooms[0] : undefined;
    if (room === undefined) throw new Error(`The reader could not resume: ${JSON.stringify(answer)}`);
    if (room.outcome === 'more' || room.outcome === 'caught_up') this.#take(room, room.entries as MissedEntry[]);
    return room;
  }

  #take(position: Position, entries: MissedEntry[]): void {
    this.#position = positionAt(position);
    for (const entry of entries) if (entry.kind === 'create:chat') this.#reading.hear(entry.message);
  }
}

const placeIn = (roomId: string) => ({ roomId, username: 'reader' });
const positionAt = ({ epoch, seq, id }: Position): Position => ({ epoch, seq, id });

/** Comes back only when it is told to. */
const newSocket = (url: string, session?: string): Socket =>
  io(url, {
    transports: ['websocket'],
    forceNew: true,
    autoConnect: false,
    reconnection: false,
    auth: session === undefined ? {} : { session },
  });

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('The reader waited in vain to be connected.')), CONNECT_MS);
    socket.once('connect_error', reject).once('connect', () => {
      clearTimeout(late);
      resolve();
    });
    socket.connect();
  });
}
