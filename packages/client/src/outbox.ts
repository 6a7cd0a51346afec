import type { Ask, Chat } from '@engawa/protocol';
import { isSameRoom, type Position } from '@engawa/protocol/position';
import { type ChangingChat, changing } from './chat-changes.ts';
import { type Entry, isKind } from './entry.ts';
import type { Follower } from './follower.ts';
import { type Refusal, type Refused, refused } from './result.ts';
import { sizeOf } from './size.ts';
import { takesTurns } from './tabs.ts';
import type { Note, OutgoingEvent, Place, StoredRequest, Unsent } from './unsent.ts';

/** What may wait; and of what was acknowledged as much is remembered. */
export const OUTBOX_REQUESTS = 1_000;
export const OUTBOX_BYTES = 1024 * 1024;
/** Of one packet: no more than a single chat may have, so that it takes no longer on a slow line. */
const PACKET_BYTES = 16_000;
/** What a chat takes there beside its fields. */
const CHAT_BYTES = 64;
const PACKET_CHATS = 100;

/** `sending` until the server has kept it (`sent`) or never will (`failed`). */
export type OutgoingState = 'sending' | 'sent' | 'failed';

/** Something of one's own on its way: a chat, or an edit, a deletion or a reaction. */
export interface Outgoing {
  readonly clientId: string;
  readonly event: OutgoingEvent;
  /** When it was written, by the clock of this machine: milliseconds since 1970, and later than what was written before it. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: Refusal | undefined;
  /** Its place in the room, once it is sent. */
  readonly seq: number | undefined;
  /** Sends again what has failed, as the newest, to the room as it is now. */
  retry(): void;
  /** Takes away what has failed. */
  discard(): void;
}

/** A chat of one's own on its way. */
export interface OutgoingChat extends Outgoing {
  readonly message: string;
  /** The seq of the chat that it answers; nothing any more once the log is another one, where the seq is that of another chat. */
  readonly replyTo: number | undefined;
  /** Resolves when it is sent or has failed, however long that takes; never rejects. */
  readonly settled: Promise<{ ok: true; seq: number } | Refused>;
}

type Fields = StoredRequest['fields'];

interface Surroundings {
  unsent: Unsent;
  follower: Follower;
  newId: () => string;
  failed: (request: Outgoing) => void;
  changed: () => void;
}

type Answered = ({ ok: true } & Place) | Refused;

/**
 * What one says and does in a room, in the order in which it was written: one packet is asked at a time, so that the room has it in
 * that order. Chats that wait travel together. Packets become larger while each is taken at once.
 */
export class Outbox {
  readonly #surroundings: Surroundings;
  #requests = new Requests();
  /** The last chats that were acknowledged: to be sent again when the log is set back to before them. */
  readonly #recent = new Requests();
  #newest = 0;
  #isSending = false;
  #most = 1;
  /** Why nothing is sent any more. */
  #ending: Refused | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Own chats beyond those that the room has told. */
  get pending(): readonly OutgoingChat[] {
    return [...this.#requests].filter(({ isChat }) => isChat);
  }

  /** The chats as they will be once what waits is done. */
  shown(chats: readonly Chat[]): readonly ChangingChat[] {
    const changes = [...this.#requests].filter((request) => !request.isChat && this.#isMeant(request));
    if (changes.length === 0) return chats;
    const me = this.#surroundings.follower.username;
    const of = ({ seq }: Chat) => changes.filter(({ stored }) => stored.fields.chatSeq === seq);
    return chats.map((chat) => of(chat).reduce<ChangingChat>((before, { stored }) => changing(before, stored, me), chat));
  }

  /** A chat, or with a `chatSeq` what changes one. */
  send(event: OutgoingEvent, fields: Fields): Request {
    const { unsent, newId, follower } = this.#surroundings;
    const { username } = follower;
    const chatId = fields.chatSeq ? follower.chats.find(({ seq }) => seq === fields.chatSeq)?.id : undefined;
    const origin = { epoch: this.epoch, life: unsent.life, username };
    const request = new Request(this, { event, clientId: newId(), fields, chatId, at: this.#now(), ...origin });
    this.#add(request);
    return request;
  }

  /** What waits, as the storage or another page of this person says. */
  found(all: StoredRequest[]): void {
    for (const stored of all) {
      const known = this.#requests.get(stored.clientId);
      this.#newest = Math.max(this.#newest, stored.at);
      if (known) known.become(stored);
      else {
        const request = new Request(this, stored);
        if (this.#requests.fits(request)) this.#requests.add(request);
      }
    }
    this.#changed();
  }

  /** What another page of this person says of what waits. */
  heard({ clientId, request, place }: Note): void {
    const { unsent, follower } = this.#surroundings;
    const known = this.#requests.get(clientId);
    // What this page sends it hears about by itself.
    if (known?.state === 'sending' && known.stored.life === unsent.life) return;
    if (request?.username === follower.username) this.found([request]);
    else if (known && place) this.#sent(known, { ok: true, ...place });
    else if (known && !request) this.#drop(known);
  }

  /** An entry of the room: what it says is then told, and pending no more. What was replaced since is told without its client id. */
  told(entry: Entry): void {
    const isOwn = isKind(entry, 'create:chat') && entry.username === this.#surroundings.follower.username;
    const own = isOwn && this.#requests.get((entry as { clientId?: string }).clientId);
    const request = own || [...this.#requests].find(({ place }) => place?.id === entry.id);
    if (!request) return;
    this.#sent(request, { ok: true, ...entry });
    this.#drop(request);
  }

  /**
   * The room is told up to here. What was sent is pending until it is told, so that it is never shown twice and never
   * missing. If something else is told in the place of a chat, the log has lost it.
   */
  reached({ epoch, seq }: Position): void {
    const passed: Request[] = [];
    for (const request of this.#requests) if (request.place?.epoch === epoch && request.place.seq <= seq) passed.push(request);
    if (passed.length === 0) return;
    for (const request of passed) this.#requests.delete(request);
    this.#sendAgain(passed.filter(({ isChat }) => isChat));
  }

  /** The room was begun anew here, where the log may have lost some of what was sent. */
  restarted(position: Position, isLost: (place: Place) => boolean): void {
    const lost = [...this.#recent].filter(({ place }) => place && isLost(place));
    for (const request of this.#requests) if (request.place && !isAhead(request.place, position)) this.#requests.delete(request);
    this.#sendAgain(lost);
  }

  /** Nothing is sent any more; what waits is answered with this. It is kept for another time, but not by one who left. */
  close(answer: Refused, hasLeft: boolean): void {
    const { unsent } = this.#surroundings;
    this.#ending = answer;
    for (const request of this.#requests) {
      if (request.state === 'sending') request.settle(answer);
      if (hasLeft) void unsent.tell({ clientId: request.clientId });
    }
    unsent.close();
    this.#surroundings.changed();
  }

  /** Of the log as it is told now. */
  get epoch(): string {
    return this.#surroundings.follower.position?.epoch ?? '';
  }

  /** Whatever the clock says, in the order of writing. */
  #now(): number {
    this.#newest = Math.max(Date.now(), this.#newest + 1);
    return this.#newest;
  }

  /** Sends again what has failed. What is to be changed is nowhere but in the log that it was written for. */
  retry(failed: Request): void {
    const { stored } = failed;
    const anew = failed.isChat && stored.epoch !== this.epoch && this.#anew(failed);
    this.#drop(failed);
    const { life } = this.#surroundings.unsent;
    failed.become({ ...stored, ...anew, at: this.#now(), life, error: undefined, packet: undefined });
    this.#add(failed);
  }

  discard(failed: Request): void {
    void this.#surroundings.unsent.tell({ clientId: failed.clientId });
    this.#drop(failed);
  }

  #add(request: Request): void {
    // What has failed is in nobody's way.
    for (const old of this.#requests) {
      if (this.#requests.fits(request)) break;
      old.discard();
    }
    const objection = this.#ending ?? (this.#requests.fits(request) ? undefined : refused('busy', 'Too much waits.', true));
    if (objection) {
      // Nor is it shown: what does not fit must not take up more.
      request.settle(objection);
      return;
    }
    this.#requests.add(request);
    this.#save(request);
    this.#changed();
  }

  #save(request: Request): void {
    request.saved = this.#surroundings.unsent.tell({ clientId: request.clientId, request: request.stored });
  }

  #drop(request: Request): void {
    this.#requests.delete(request);
    this.#surroundings.changed();
  }

  /** The chat for the log as it is now, where it answers nothing. */
  #anew({ message }: Request): Pick<StoredRequest, 'epoch' | 'fields'> {
    return { epoch: this.epoch, fields: { message } };
  }

  /**
   * The room keeps a packet once, so nothing comes twice: what travelled together does again. It goes without what it answers: the
   * log may have lost that, too, and what was acknowledged must not be refused.
   */
  #sendAgain(lost: Request[]): void {
    // Another page may have said that it sends the same again.
    const isLost = ({ packet }: Request) => lost.some((each) => each.packet === packet);
    const { life } = this.#surroundings.unsent;
    const again = [...this.#recent]
      .filter(isLost)
      .map((request) => new Request(this, { ...request.stored, ...this.#anew(request), life, packet: request.packet }));
    for (const request of again) this.#save(request);
    for (const request of this.#recent) if (isLost(request)) this.#recent.delete(request);
    this.#requests = new Requests([...again, ...[...this.#requests].filter((request) => !isLost(request))]);
    this.#changed();
  }

  #changed(): void {
    void this.sendWaiting();
    this.#surroundings.changed();
  }

  /** To be called when there may be more to send, as what another page has left behind. */
  async sendWaiting(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (!this.#ending) {
      const packet = this.#next();
      const [first] = packet;
      if (!first) break;
      // Written down before it is asked: whatever happens to this page, it is sent once.
      await Promise.all(packet.map(async ({ saved }) => saved));
      let tries = 0;
      const event = isAlone(packet) ? first.event : 'create:chats';
      const answer = await this.#surroundings.follower.insist<OutgoingEvent | 'create:chats'>(event, () => {
        tries += 1;
        return this.#ask(packet);
      });
      this.#most = answer.ok && tries === 1 ? Math.min(2 * this.#most, PACKET_CHATS) : 1;
      if (answer.ok) this.#kept(packet, answer);
      else if (packet.length > 1) this.#separate(packet);
      else this.#failed(first, answer);
    }
    this.#isSending = false;
  }

  /**
   * What was tried before goes in the same packet again; else as many chats as may travel together, or one change. That one was tried
   * alone may not have been written down: it is older than what its page wrote after it, and so the packet has its name.
   */
  #next(): Request[] {
    const { unsent } = this.#surroundings;
    const waiting = [...this.#requests].filter(({ state, stored }) => state === 'sending' && unsent.maySend(stored.life));
    const [first] = waiting;
    if (!first || first.stored.packet) return waiting.filter(({ packet }) => packet === first?.packet);
    const { at, epoch, life } = first.stored;
    const most = first.isChat && takesTurns() ? this.#most : 1;
    let bytes = 0;
    const end = waiting.findIndex((each, index) => {
      const { stored } = each;
      bytes += each.bytes + CHAT_BYTES;
      const isOther = !each.isChat || stored.packet || stored.epoch !== epoch || stored.life !== life || stored.at < at;
      return index > 0 && (isOther || index === most || bytes > PACKET_BYTES);
    });
    const packet = waiting.slice(0, end < 0 ? most : end);
    for (const [index, each] of packet.entries()) {
      each.stored = { ...each.stored, packet: first.clientId, index };
      if (packet.length > 1) this.#save(each);
    }
    return packet;
  }

  /** What of a packet is left after a crash is answered with the places of all. */
  #kept(packet: Request[], answer: { ok: true; chats?: Omit<Place, 'epoch'>[] } & Place): void {
    const { chats } = answer;
    const lost = packet.filter((each, index) => {
      const place = chats ? chats[chats.length === packet.length ? index : (each.stored.index as number)] : answer;
      if (place) this.#sent(each, { ...answer, ...place });
      return !place;
    });
    this.#separate(lost);
  }

  /** One of them may be to blame: none was kept, and each is free to go with others. Backwards: what is left by a crash is none that was tried. */
  #separate(packet: Request[]): void {
    for (const each of packet.reverse()) {
      if (each.state !== 'sending') continue;
      each.stored = { ...each.stored, packet: undefined };
      this.#save(each);
    }
  }

  #ask(packet: Request[]): Ask<OutgoingEvent | 'create:chats'> | Refused {
    const [first] = packet as [Request];
    const { epoch } = first.stored;
    if (epoch && !isSameRoom(epoch, this.epoch)) return refused('room_replaced', 'Its room is gone.');
    if (!this.#isMeant(first)) return refused('chat_not_found', 'Its log was set back.');
    const { roomId, username } = this.#surroundings.follower;
    const lacks = epoch !== this.epoch && { replyTo: undefined };
    const chats = packet.map(({ clientId, stored: { fields } }) => ({ clientId, ...fields, ...lacks }));
    return { roomId, username, ...(isAlone(packet) ? chats[0] : { clientId: first.packet, chats }) } as Ask<OutgoingEvent>;
  }

  /** A seq of another log may be that of another chat. */
  #isMeant({ stored: { epoch, chatId, fields } }: Pick<Request, 'stored'>): boolean {
    if (!fields.chatSeq || epoch === this.epoch) return true;
    return this.#surroundings.follower.chats.some(({ seq, id }) => seq === fields.chatSeq && id === chatId);
  }

  /** By its answer or by its entry, whichever comes first. */
  #sent(request: Request, answer: { ok: true } & Place): void {
    const { epoch, seq, id } = answer;
    const { unsent, follower, changed } = this.#surroundings;
    if (request.state === 'sent') return;
    void unsent.tell({ clientId: request.clientId, place: { epoch, seq, id } });
    // It may be refused to one page and kept for another.
    if (request.state === 'failed') return;
    request.settle(answer);
    if (request.isChat) this.#recent.push(request);
    const { position } = follower;
    if (position && position.epoch !== epoch) follower.reload();
    else if (!isAhead(answer, position)) this.#drop(request);
    changed();
  }

  #failed(request: Request, answer: Refused): void {
    // Another page may have sent it meanwhile.
    if (request.state !== 'sending' || this.#requests.get(request.clientId) !== request) return;
    request.settle(answer);
    if (request.isChat) {
      request.stored = { ...request.stored, error: answer.error };
      this.#save(request);
    } else request.discard();
    this.#surroundings.failed(request);
    this.#surroundings.changed();
  }
}

/** Requests by client id, in the order in which they were added, and how much they take. */
class Requests {
  readonly #all = new Map<string | undefined, Request>();
  #bytes = 0;

  constructor(requests: Request[] = []) {
    for (const request of requests) this.add(request);
  }

  get(clientId: string | undefined): Request | undefined {
    return this.#all.get(clientId);
  }

  /** In the place of one that has its client id. */
  add(request: Request): void {
    this.#bytes += request.bytes - (this.#all.get(request.clientId)?.bytes ?? 0);
    this.#all.set(request.clientId, request);
  }

  /** Where there is no room the oldest go. */
  push(request: Request): void {
    for (const oldest of this) {
      if (this.fits(request)) break;
      this.delete(oldest);
    }
    this.add(request);
  }

  delete(request: Request): void {
    if (this.#all.get(request.clientId) === request && this.#all.delete(request.clientId)) this.#bytes -= request.bytes;
  }

  [Symbol.iterator](): Iterator<Request> {
    return this.#all.values();
  }

  /** Whether there is room for one more. */
  fits({ bytes }: Request): boolean {
    return this.#all.size < OUTBOX_REQUESTS && this.#bytes + bytes <= OUTBOX_BYTES;
  }
}

const isAlone = ([first, other]: Request[]): boolean => !other && first?.packet === first?.clientId;

/** It is yet to be told. Where nothing had to change there is no id, and the place may be that of an entry that nobody is told. */
const isAhead = (place: Place | undefined, position: Position | undefined): boolean =>
  place?.id !== undefined && place.epoch === position?.epoch && place.seq > position.seq;

class Request implements OutgoingChat {
  readonly #outbox: Outbox;
  stored!: StoredRequest;
  saved: Promise<unknown> | undefined;
  readonly bytes: number;
  #answer: Answered | undefined;
  #resolve: ((answer: unknown) => void) | undefined;
  /** Of a chat its seq, of a change all that the server answers. */
  settled!: Promise<never>;

  constructor(outbox: Outbox, stored: StoredRequest) {
    this.bytes = sizeOf(stored.fields);
    this.#outbox = outbox;
    this.become(stored);
  }

  get event(): OutgoingEvent {
    return this.stored.event;
  }

  get isChat(): boolean {
    return this.event === 'create:chat';
  }

  get clientId(): string {
    return this.stored.clientId;
  }

  /** The name of the packet in which it was tried, else its own. */
  get packet(): string {
    return this.stored.packet ?? this.clientId;
  }

  get message(): string {
    return this.stored.fields.message ?? '';
  }

  get at(): number {
    return this.stored.at;
  }

  get replyTo(): number | undefined {
    return this.stored.epoch === this.#outbox.epoch ? this.stored.fields.replyTo : undefined;
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

  /** What it is from now on: it waits, or has failed. */
  become(stored: StoredRequest): void {
    this.stored = stored;
    if (this.state !== 'sending' || !this.#resolve) {
      this.#answer = undefined;
      this.settled = new Promise((resolve) => {
        this.#resolve = resolve as (answer: unknown) => void;
      });
    }
    if (stored.error) this.settle({ ok: false, error: stored.error });
  }

  settle(answer: Answered): void {
    this.#answer = answer;
    this.#resolve?.(answer.ok && this.isChat ? { ok: true, seq: answer.seq } : answer);
  }

  retry(): void {
    if (this.state === 'failed') this.#outbox.retry(this);
  }

  discard(): void {
    if (this.state === 'failed') this.#outbox.discard(this);
  }
}
