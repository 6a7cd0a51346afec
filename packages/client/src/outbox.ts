import type { Position } from '@engawa/protocol/position';
import { type Entry, isKind } from './entry.ts';
import { newClientId } from './ids.ts';
import { closed, type Refusal, type Refused, type Result, refused } from './result.ts';
import { sizeOf } from './size.ts';

/** What may wait; and of what was acknowledged as much is remembered. */
export const OUTBOX_CHATS = 1_000;
export const OUTBOX_BYTES = 1024 * 1024;

/** `sending` until the server has kept it (`sent`) or never will (`failed`). */
export type OutgoingState = 'sending' | 'sent' | 'failed';

/** A chat of one's own on its way. */
export interface OutgoingChat {
  readonly clientId: string;
  readonly message: string;
  /** The seq of the chat that it answers; nothing any more once the log is another one, where the seq is that of another chat. */
  readonly replyTo: number | undefined;
  /** When it was written, by the clock of this machine: milliseconds since 1970. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: Refusal | undefined;
  /** Its place in the room, once it is sent. */
  readonly seq: number | undefined;
  /** Resolves when it is sent or has failed, however long that takes; never rejects. */
  readonly settled: Promise<{ ok: true; seq: number } | Refused>;
  /** Sends a failed chat again, as the newest one. */
  retry(): void;
  /** Takes a failed chat away. */
  discard(): void;
}

/** As much of a chat as outlives a page. */
export interface StoredChat {
  clientId: string;
  message: string;
  at: number;
  /** What it answers. */
  reply?: { epoch: string; seq: number } | undefined;
}

interface Surroundings {
  username: () => string;
  /** Up to where the room is told. */
  position: () => Position | undefined;
  /** An answer is of another log than the room that is told. */
  strayed: () => void;
  /** Asks until there is a definitive answer. */
  deliver: (chat: OutgoingChat) => Promise<Result<'create:chat'>>;
  /** Resolves when what is waiting has been written down, as far as it can be. */
  save: () => Promise<void>;
  changed: () => void;
}

/** Own chats, in the order in which they were written: one is asked at a time, so that the room has them in that order. */
export class Outbox {
  readonly #surroundings: Surroundings;
  #chats: Outgoing[] = [];
  /** The last ones that were acknowledged: to be sent again when the log is set back to before them. */
  #recent: Outgoing[] = [];
  #saved: Promise<void> = Promise.resolve();
  #isSending = false;
  #isClosed = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** All that is shown beyond what the room has told. */
  get pending(): readonly OutgoingChat[] {
    return this.#chats;
  }

  get unsent(): StoredChat[] {
    return this.#chats.filter(({ state }) => state === 'sending').map(({ stored }) => stored);
  }

  send(message: string, replyTo?: number): OutgoingChat {
    const reply = replyTo === undefined ? undefined : { epoch: this.#epoch, seq: replyTo };
    const chat = this.#made({ clientId: newClientId(), message, at: Date.now(), reply });
    this.#add(chat);
    return chat;
  }

  /** Chats of an earlier life of this client. */
  restore(chats: StoredChat[]): void {
    for (const chat of chats) this.#add(this.#made(chat));
  }

  /** An entry of the room: an own chat is then told, and pending no more. What was replaced since is told without its client id. */
  told(entry: Entry): void {
    if (!isKind(entry, 'create:chat') || entry.username !== this.#surroundings.username()) return;
    const chat = this.#chats.find(({ clientId, place }) => clientId === entry.clientId || place?.id === entry.id);
    if (!chat) return;
    this.#sent(chat, entry);
    if (chat.state === 'sent') this.#drop(chat);
  }

  /**
   * The room is told up to here. What was sent is pending until it is told, so that it is never shown twice and never
   * missing. If something else is told in its place, the log has lost it.
   */
  reached({ epoch, seq }: Position): void {
    this.#sendAgain(this.#chats.filter(({ place }) => place?.epoch === epoch && place.seq <= seq));
  }

  /** The room was begun anew here, where the log may have lost some of what was sent. */
  restarted(position: Position, isLost: (place: Place) => boolean): void {
    const lost = this.#recent.filter(({ place }) => place && isLost(place));
    this.#chats = this.#chats.filter((chat) => chat.state !== 'sent' || lost.includes(chat) || isAhead(chat.place, position));
    this.#sendAgain(lost);
    this.#surroundings.changed();
  }

  /** Nothing is sent any more; what waits is answered with this. */
  close(answer: Refused): void {
    this.#isClosed = true;
    for (const chat of this.#chats) if (chat.state === 'sending') chat.settle(answer);
    this.#surroundings.changed();
  }

  get #epoch(): string {
    return this.#surroundings.position()?.epoch ?? '';
  }

  #made(chat: StoredChat): Outgoing {
    return new Outgoing(chat, {
      epoch: () => this.#epoch,
      retry: (failed) => {
        this.#drop(failed);
        failed.begin();
        this.#add(failed);
      },
      discard: (failed) => this.#drop(failed),
    });
  }

  #add(chat: Outgoing): void {
    const objection = this.#objectionTo(chat);
    if (objection) {
      // Nor is it shown: what does not fit must not take up more.
      chat.settle(objection);
      return;
    }
    this.#chats = [...this.#chats, chat];
    void this.#saveAndSend();
    this.#surroundings.changed();
  }

  #objectionTo({ message }: StoredChat): Refused | undefined {
    if (this.#isClosed) return closed();
    const bytes = bytesOf(this.#chats) + sizeOf(message);
    const isFull = this.#chats.length >= OUTBOX_CHATS || bytes > OUTBOX_BYTES;
    return isFull ? refused('busy', 'Too many chats are waiting to be sent.', true) : undefined;
  }

  #drop(chat: Outgoing): void {
    this.#chats = this.#chats.filter((each) => each !== chat);
    this.#surroundings.changed();
  }

  /**
   * The room keeps a client id once, so nothing comes twice. It goes without what it answers: the log may have lost that, too,
   * and what was acknowledged must not be refused.
   */
  #sendAgain(lost: Outgoing[]): void {
    if (lost.length === 0) return;
    const isLost = (chat: Outgoing) => lost.includes(chat);
    this.#recent = this.#recent.filter((chat) => !isLost(chat));
    this.#chats = [
      ...lost.map(({ stored }) => this.#made({ ...stored, reply: undefined })),
      ...this.#chats.filter((chat) => !isLost(chat)),
    ];
    void this.#saveAndSend();
    this.#surroundings.changed();
  }

  #saveAndSend(): Promise<void> {
    this.#saved = this.#surroundings.save();
    return this.#sendWaiting();
  }

  async #sendWaiting(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    for (let chat = this.#next(); chat && !this.#isClosed; chat = this.#next()) {
      // Written down before it is asked: whatever happens to this page, it is sent once.
      await this.#saved;
      const answer = await this.#surroundings.deliver(chat);
      if (answer.ok) this.#sent(chat, answer);
      else this.#failed(chat, answer);
    }
    this.#isSending = false;
  }

  #next(): Outgoing | undefined {
    return this.#chats.find(({ state }) => state === 'sending');
  }

  /** By its answer or by its entry, whichever comes first. */
  #sent(chat: Outgoing, { epoch, seq, id }: Place): void {
    if (chat.state !== 'sending') return;
    chat.settle({ ok: true, epoch, seq, id });
    this.#recent.push(chat);
    forgetOldest(this.#recent);
    const position = this.#surroundings.position();
    if (position && position.epoch !== epoch) this.#surroundings.strayed();
    else if (!isAhead(chat.place, position)) this.#drop(chat);
    this.#surroundings.changed();
  }

  #failed(chat: Outgoing, answer: Refused): void {
    if (chat.state !== 'sending') return;
    chat.settle(answer);
    this.#surroundings.changed();
  }
}

function forgetOldest(recent: Outgoing[]): void {
  let bytes = bytesOf(recent);
  while (recent.length > OUTBOX_CHATS || bytes > OUTBOX_BYTES) bytes -= recent.shift()?.bytes ?? 0;
}

const bytesOf = (chats: Outgoing[]): number => chats.reduce((sum, chat) => sum + chat.bytes, 0);

/** Where the room has a chat. */
export interface Place {
  epoch: string;
  seq: number;
  id?: string | undefined;
}

const isAhead = (place: Place | undefined, position: Position | undefined): boolean =>
  place !== undefined && place.epoch === position?.epoch && place.seq > position.seq;

type Settled = ({ ok: true } & Place) | Refused;

interface Acts {
  /** Of the log as it is told now. */
  epoch: () => string;
  retry: (chat: Outgoing) => void;
  discard: (chat: Outgoing) => void;
}

class Outgoing implements OutgoingChat {
  readonly stored: StoredChat;
  readonly clientId: string;
  readonly message: string;
  readonly at: number;
  readonly bytes: number;
  readonly #acts: Acts;
  #answer: Settled | undefined;
  #resolve: (answer: { ok: true; seq: number } | Refused) => void = () => undefined;
  settled: OutgoingChat['settled'] = Promise.resolve(closed());

  constructor(stored: StoredChat, acts: Acts) {
    const { clientId, message, at } = stored;
    this.stored = stored;
    this.clientId = clientId;
    this.message = message;
    this.at = at;
    this.bytes = sizeOf(message);
    this.#acts = acts;
    this.begin();
  }

  get replyTo(): number | undefined {
    const { reply } = this.stored;
    return reply?.epoch === this.#acts.epoch() ? reply.seq : undefined;
  }

  get state(): OutgoingState {
    if (!this.#answer) return 'sending';
    return this.#answer.ok ? 'sent' : 'failed';
  }

  get error(): Refusal | undefined {
    return this.#answer && !this.#answer.ok ? this.#answer.error : undefined;
  }

  get seq(): number | undefined {
    return this.place?.seq;
  }

  get place(): Place | undefined {
    return this.#answer?.ok ? this.#answer : undefined;
  }

  begin(): void {
    this.#answer = undefined;
    this.settled = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  settle(answer: Settled): void {
    this.#answer = answer;
    this.#resolve(answer.ok ? { ok: true, seq: answer.seq } : answer);
  }

  retry(): void {
    if (this.state === 'failed') this.#acts.retry(this);
  }

  discard(): void {
    if (this.state === 'failed') this.#acts.discard(this);
  }
}
