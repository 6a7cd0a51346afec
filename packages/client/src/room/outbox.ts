import type { Chat, RequestInput } from '@engawa/protocol';
import { isSameLineage, type Position } from '@engawa/protocol/position';
import { jsonByteLength } from '../connection/byte-size.ts';
import { type ErrorInfo, type FailedResult, failedResult } from '../connection/result.ts';
import type { EntryRef, OutboxStore, OutboxUpdate, OutgoingEvent, StoredRequest } from '../storage/outbox-store.ts';
import { canCoordinate } from '../storage/tabs.ts';
import { applyOptimisticChange, type OptimisticChat } from '../timeline/chat-reducer.ts';
import { type Entry, isKind } from '../timeline/entry.ts';
import type { RoomSync } from './room-sync.ts';

/** What may wait; and of what was acknowledged as much is remembered. */
export const MAX_OUTBOX_ITEMS = 1_000;
export const MAX_OUTBOX_BYTES = 1024 * 1024;
/** Of one packet: no more than a single chat may have, so that it takes no longer on a slow line. */
const MAX_PACKET_BYTES = 16_000;
/** What a chat takes there beside its fields. */
const CHAT_OVERHEAD_BYTES = 64;
const MAX_PACKET_CHATS = 100;

/** `sending` until the server has kept it (`sent`) or never will (`failed`). */
export type OutgoingState = 'sending' | 'sent' | 'failed';

/** Something of one's own on its way: a chat, or an edit, a deletion or a reaction. */
export interface OutgoingRequest {
  readonly clientId: string;
  readonly event: OutgoingEvent;
  /** When it was written, by the clock of this machine: milliseconds since 1970, and later than what was written before it. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: ErrorInfo | undefined;
  /** Its place in the room, once it is sent. */
  readonly seq: number | undefined;
  /** Sends again what has failed, as the newest, to the room as it is now. */
  retry(): void;
  /** Takes away what has failed. */
  discard(): void;
}

/** A chat of one's own on its way. */
export interface OutgoingChat extends OutgoingRequest {
  readonly message: string;
  /** The seq of the chat that it answers; nothing any more once the log is another one, where the seq is that of another chat. */
  readonly replyTo: number | undefined;
  /** Resolves when it is sent or has failed, however long that takes; never rejects. */
  readonly settled: Promise<{ ok: true; seq: number } | FailedResult>;
}

type Fields = StoredRequest['fields'];

interface OutboxOptions {
  store: OutboxStore;
  roomSync: RoomSync;
  newId: () => string;
  onFailed: (request: OutgoingRequest) => void;
  onChange: () => void;
}

type Outcome = ({ ok: true } & EntryRef) | FailedResult;

/**
 * What one says and does in a room, in the order in which it was written: one packet is asked at a time, so that the room has it in
 * that order. Chats that wait travel together. Packets become larger while each is taken at once.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #items = new Requests();
  /** The last chats that were acknowledged: to be sent again when the log is set back to before them. */
  readonly #acknowledged = new Requests();
  #latestTimestamp = 0;
  #isSending = false;
  #maxPacketChats = 1;
  /** Why nothing is sent any more. */
  #closeResult: FailedResult | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Own chats beyond those that the room has told. */
  get pending(): readonly OutgoingChat[] {
    return [...this.#items].filter(({ isChat }) => isChat);
  }

  /** The chats as they will be once what waits is done. */
  applyPendingChanges(chats: readonly Chat[]): readonly OptimisticChat[] {
    const changes = [...this.#items].filter((request) => !request.isChat && this.#targetsCurrentLog(request));
    if (changes.length === 0) return chats;
    const me = this.#options.roomSync.username;
    const changesTo = ({ seq }: Chat) => changes.filter(({ stored }) => stored.fields.chatSeq === seq);
    return chats.map((chat) =>
      changesTo(chat).reduce<OptimisticChat>((before, { stored }) => applyOptimisticChange(before, stored, me), chat),
    );
  }

  /** A chat, or with a `chatSeq` what changes one. */
  send(event: OutgoingEvent, fields: Fields): OutboxItem {
    const { store, newId, roomSync } = this.#options;
    const { username } = roomSync;
    const chatId = fields.chatSeq ? roomSync.chats.find(({ seq }) => seq === fields.chatSeq)?.id : undefined;
    const origin = { epoch: this.epoch, life: store.instanceId, username };
    const request = new OutboxItem(this, { event, clientId: newId(), fields, chatId, at: this.#nextTimestamp(), ...origin });
    this.#add(request);
    return request;
  }

  /** What waits, as the storage or another page of this person says. */
  addStored(requests: StoredRequest[]): void {
    for (const stored of requests) {
      const known = this.#items.get(stored.clientId);
      this.#latestTimestamp = Math.max(this.#latestTimestamp, stored.at);
      if (known) known.update(stored);
      else {
        const request = new OutboxItem(this, stored);
        if (this.#items.fits(request)) this.#items.add(request);
      }
    }
    this.#onChange();
  }

  /** What another page of this person says of what waits. */
  onStoreUpdate({ clientId, request, place }: OutboxUpdate): void {
    const { store, roomSync } = this.#options;
    const known = this.#items.get(clientId);
    // What this page sends it hears about by itself.
    if (known?.state === 'sending' && known.stored.life === store.instanceId) return;
    if (request?.username === roomSync.username) this.addStored([request]);
    else if (known && place) this.#markSent(known, { ok: true, ...place });
    else if (known && !request) this.#remove(known);
  }

  /** An entry of the room: what it says is then told, and pending no more. What was replaced since is told without its client id. */
  onEntry(entry: Entry): void {
    const isOwn = isKind(entry, 'create:chat') && entry.username === this.#options.roomSync.username;
    const own = isOwn && this.#items.get((entry as { clientId?: string }).clientId);
    const request = own || [...this.#items].find(({ entryRef }) => entryRef?.id === entry.id);
    if (!request) return;
    this.#markSent(request, { ok: true, ...entry });
    this.#remove(request);
  }

  /**
   * The room is told up to here. What was sent is pending until it is told, so that it is never shown twice and never
   * missing. If something else is told in the place of a chat, the log has lost it.
   */
  onPosition({ epoch, seq }: Position): void {
    const passed: OutboxItem[] = [];
    for (const request of this.#items) if (request.entryRef?.epoch === epoch && request.entryRef.seq <= seq) passed.push(request);
    if (passed.length === 0) return;
    for (const request of passed) this.#items.delete(request);
    this.#resend(passed.filter(({ isChat }) => isChat));
  }

  /** The room was begun anew here, where the log may have lost some of what was sent. */
  onReset(position: Position, isLost: (place: EntryRef) => boolean): void {
    const lost = [...this.#acknowledged].filter(({ entryRef }) => entryRef && isLost(entryRef));
    for (const request of this.#items) if (request.entryRef && !isAheadOf(request.entryRef, position)) this.#items.delete(request);
    this.#resend(lost);
  }

  /** Nothing is sent any more; what waits is answered with this. It is kept for another time, but not by one who left. */
  close(result: FailedResult, hasLeft: boolean): void {
    const { store } = this.#options;
    this.#closeResult = result;
    for (const request of this.#items) {
      if (request.state === 'sending') request.settle(result);
      if (hasLeft) void store.save({ clientId: request.clientId });
    }
    store.close();
    this.#options.onChange();
  }

  /** Of the log as it is told now. */
  get epoch(): string {
    return this.#options.roomSync.position?.epoch ?? '';
  }

  /** Whatever the clock says, in the order of writing. */
  #nextTimestamp(): number {
    this.#latestTimestamp = Math.max(Date.now(), this.#latestTimestamp + 1);
    return this.#latestTimestamp;
  }

  /** Sends again what has failed. What is to be changed is nowhere but in the log that it was written for. */
  retry(failed: OutboxItem): void {
    const { stored } = failed;
    const rebased = failed.isChat && stored.epoch !== this.epoch && this.#rebase(failed);
    this.#remove(failed);
    const { instanceId } = this.#options.store;
    failed.update({ ...stored, ...rebased, at: this.#nextTimestamp(), life: instanceId, error: undefined, packet: undefined });
    this.#add(failed);
  }

  discard(failed: OutboxItem): void {
    void this.#options.store.save({ clientId: failed.clientId });
    this.#remove(failed);
  }

  #add(request: OutboxItem): void {
    // What has failed is in nobody's way.
    for (const old of this.#items) {
      if (this.#items.fits(request)) break;
      old.discard();
    }
    const rejection = this.#closeResult ?? (this.#items.fits(request) ? undefined : failedResult('busy', 'Too much waits.', true));
    if (rejection) {
      // Nor is it shown: what does not fit must not take up more.
      request.settle(rejection);
      return;
    }
    this.#items.add(request);
    this.#save(request);
    this.#onChange();
  }

  #save(request: OutboxItem): void {
    request.persisted = this.#options.store.save({ clientId: request.clientId, request: request.stored });
  }

  #remove(request: OutboxItem): void {
    this.#items.delete(request);
    this.#options.onChange();
  }

  /** The chat for the log as it is now, where it answers nothing. */
  #rebase({ message }: OutboxItem): Pick<StoredRequest, 'epoch' | 'fields'> {
    return { epoch: this.epoch, fields: { message } };
  }

  /**
   * The room keeps a packet once, so nothing comes twice: what travelled together does again. It goes without what it answers: the
   * log may have lost that, too, and what was acknowledged must not be refused.
   */
  #resend(lost: OutboxItem[]): void {
    // Another page may have said that it sends the same again.
    const isLost = ({ packetId }: OutboxItem) => lost.some((each) => each.packetId === packetId);
    const { instanceId } = this.#options.store;
    const resent = [...this.#acknowledged]
      .filter(isLost)
      .map((request) => new OutboxItem(this, { ...request.stored, ...this.#rebase(request), life: instanceId, packet: request.packetId }));
    for (const request of resent) this.#save(request);
    for (const request of this.#acknowledged) if (isLost(request)) this.#acknowledged.delete(request);
    this.#items = new Requests([...resent, ...[...this.#items].filter((request) => !isLost(request))]);
    this.#onChange();
  }

  #onChange(): void {
    void this.flush();
    this.#options.onChange();
  }

  /** To be called when there may be more to send, as what another page has left behind. */
  async flush(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (!this.#closeResult) {
      const packet = this.#nextPacket();
      const [first] = packet;
      if (!first) break;
      // Written down before it is asked: whatever happens to this page, it is sent once.
      await Promise.all(packet.map(async ({ persisted }) => persisted));
      let attempts = 0;
      const event = isSingle(packet) ? first.event : 'create:chats';
      const answer = await this.#options.roomSync.requestUntilAnswered<OutgoingEvent | 'create:chats'>(event, () => {
        attempts += 1;
        return this.#buildRequest(packet);
      });
      this.#maxPacketChats = answer.ok && attempts === 1 ? Math.min(2 * this.#maxPacketChats, MAX_PACKET_CHATS) : 1;
      if (answer.ok) this.#onPacketAccepted(packet, answer);
      else if (packet.length > 1) this.#splitPacket(packet);
      else this.#markFailed(first, answer);
    }
    this.#isSending = false;
  }

  /**
   * What was tried before goes in the same packet again; else as many chats as may travel together, or one change. That one was tried
   * alone may not have been written down: it is older than what its page wrote after it, and so the packet has its name.
   */
  #nextPacket(): OutboxItem[] {
    const { store } = this.#options;
    const waiting = [...this.#items].filter(({ state, stored }) => state === 'sending' && store.isSenderFor(stored.life));
    const [first] = waiting;
    if (!first || first.stored.packet) return waiting.filter(({ packetId }) => packetId === first?.packetId);
    const { at, epoch, life } = first.stored;
    const maxChats = first.isChat && canCoordinate() ? this.#maxPacketChats : 1;
    let bytes = 0;
    const end = waiting.findIndex((each, index) => {
      const { stored } = each;
      bytes += each.bytes + CHAT_OVERHEAD_BYTES;
      const belongsElsewhere = !each.isChat || stored.packet || stored.epoch !== epoch || stored.life !== life || stored.at < at;
      return index > 0 && (belongsElsewhere || index === maxChats || bytes > MAX_PACKET_BYTES);
    });
    const packet = waiting.slice(0, end < 0 ? maxChats : end);
    for (const [index, each] of packet.entries()) {
      each.stored = { ...each.stored, packet: first.clientId, index };
      if (packet.length > 1) this.#save(each);
    }
    return packet;
  }

  /** What of a packet is left after a crash is answered with the places of all. */
  #onPacketAccepted(packet: OutboxItem[], answer: { ok: true; chats?: Omit<EntryRef, 'epoch'>[] } & EntryRef): void {
    const { chats } = answer;
    const unplaced = packet.filter((each, index) => {
      const place = chats ? chats[chats.length === packet.length ? index : (each.stored.index as number)] : answer;
      if (place) this.#markSent(each, { ...answer, ...place });
      return !place;
    });
    this.#splitPacket(unplaced);
  }

  /** One of them may be to blame: none was kept, and each is free to go with others. Backwards: what is left by a crash is none that was tried. */
  #splitPacket(packet: OutboxItem[]): void {
    for (const each of packet.reverse()) {
      if (each.state !== 'sending') continue;
      each.stored = { ...each.stored, packet: undefined };
      this.#save(each);
    }
  }

  #buildRequest(packet: OutboxItem[]): RequestInput<OutgoingEvent | 'create:chats'> | FailedResult {
    const [first] = packet as [OutboxItem];
    const { epoch } = first.stored;
    if (epoch && !isSameLineage(epoch, this.epoch)) return failedResult('room_replaced', 'Its room is gone.');
    if (!this.#targetsCurrentLog(first)) return failedResult('chat_not_found', 'Its log was set back.');
    const { roomId, username } = this.#options.roomSync;
    const dropReply = epoch !== this.epoch && { replyTo: undefined };
    const chats = packet.map(({ clientId, stored: { fields } }) => ({ clientId, ...fields, ...dropReply }));
    return { roomId, username, ...(isSingle(packet) ? chats[0] : { clientId: first.packetId, chats }) } as RequestInput<OutgoingEvent>;
  }

  /** A seq of another log may be that of another chat. */
  #targetsCurrentLog({ stored: { epoch, chatId, fields } }: Pick<OutboxItem, 'stored'>): boolean {
    if (!fields.chatSeq || epoch === this.epoch) return true;
    return this.#options.roomSync.chats.some(({ seq, id }) => seq === fields.chatSeq && id === chatId);
  }

  /** By its answer or by its entry, whichever comes first. */
  #markSent(request: OutboxItem, answer: { ok: true } & EntryRef): void {
    const { epoch, seq, id } = answer;
    const { store, roomSync, onChange } = this.#options;
    if (request.state === 'sent') return;
    void store.save({ clientId: request.clientId, place: { epoch, seq, id } });
    // It may be refused to one page and kept for another.
    if (request.state === 'failed') return;
    request.settle(answer);
    if (request.isChat) this.#acknowledged.push(request);
    const { position } = roomSync;
    if (position && position.epoch !== epoch) roomSync.resyncFromNewest();
    else if (!isAheadOf(answer, position)) this.#remove(request);
    onChange();
  }

  #markFailed(request: OutboxItem, answer: FailedResult): void {
    // Another page may have sent it meanwhile.
    if (request.state !== 'sending' || this.#items.get(request.clientId) !== request) return;
    request.settle(answer);
    if (request.isChat) {
      request.stored = { ...request.stored, error: answer.error };
      this.#save(request);
    } else request.discard();
    this.#options.onFailed(request);
    this.#options.onChange();
  }
}

/** Requests by client id, in the order in which they were added, and how much they take. */
class Requests {
  readonly #all = new Map<string | undefined, OutboxItem>();
  #bytes = 0;

  constructor(requests: OutboxItem[] = []) {
    for (const request of requests) this.add(request);
  }

  get(clientId: string | undefined): OutboxItem | undefined {
    return this.#all.get(clientId);
  }

  /** In the place of one that has its client id. */
  add(request: OutboxItem): void {
    this.#bytes += request.bytes - (this.#all.get(request.clientId)?.bytes ?? 0);
    this.#all.set(request.clientId, request);
  }

  /** Where there is no room the oldest go. */
  push(request: OutboxItem): void {
    for (const oldest of this) {
      if (this.fits(request)) break;
      this.delete(oldest);
    }
    this.add(request);
  }

  delete(request: OutboxItem): void {
    if (this.#all.get(request.clientId) === request && this.#all.delete(request.clientId)) this.#bytes -= request.bytes;
  }

  [Symbol.iterator](): Iterator<OutboxItem> {
    return this.#all.values();
  }

  /** Whether there is room for one more. */
  fits({ bytes }: OutboxItem): boolean {
    return this.#all.size < MAX_OUTBOX_ITEMS && this.#bytes + bytes <= MAX_OUTBOX_BYTES;
  }
}

const isSingle = ([first, other]: OutboxItem[]): boolean => !other && first?.packetId === first?.clientId;

/** It is yet to be told. Where nothing had to change there is no id, and the place may be that of an entry that nobody is told. */
const isAheadOf = (place: EntryRef | undefined, position: Position | undefined): boolean =>
  place?.id !== undefined && place.epoch === position?.epoch && place.seq > position.seq;

class OutboxItem implements OutgoingChat {
  readonly #outbox: Outbox;
  stored!: StoredRequest;
  persisted: Promise<unknown> | undefined;
  readonly bytes: number;
  #outcome: Outcome | undefined;
  #resolve: ((answer: unknown) => void) | undefined;
  /** Of a chat its seq, of a change all that the server answers. */
  settled!: Promise<never>;

  constructor(outbox: Outbox, stored: StoredRequest) {
    this.bytes = jsonByteLength(stored.fields);
    this.#outbox = outbox;
    this.update(stored);
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
  get packetId(): string {
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
    if (!this.#outcome) return 'sending';
    return this.#outcome.ok ? 'sent' : 'failed';
  }

  get error(): ErrorInfo | undefined {
    return this.#outcome && !this.#outcome.ok ? this.#outcome.error : undefined;
  }

  get seq(): number | undefined {
    return this.entryRef?.seq;
  }

  get entryRef(): EntryRef | undefined {
    return this.#outcome?.ok ? this.#outcome : undefined;
  }

  /** What it is from now on: it waits, or has failed. */
  update(stored: StoredRequest): void {
    this.stored = stored;
    if (this.state !== 'sending' || !this.#resolve) {
      this.#outcome = undefined;
      this.settled = new Promise((resolve) => {
        this.#resolve = resolve as (answer: unknown) => void;
      });
    }
    if (stored.error) this.settle({ ok: false, error: stored.error });
  }

  settle(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#resolve?.(outcome.ok && this.isChat ? { ok: true, seq: outcome.seq } : outcome);
  }

  retry(): void {
    if (this.state === 'failed') this.#outbox.retry(this);
  }

  discard(): void {
    if (this.state === 'failed') this.#outbox.discard(this);
  }
}
