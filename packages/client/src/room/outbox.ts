/** The outbox of a room: chats and changes on their way to the server, in the order of writing. */
import type { Chat, RequestInput } from '@engawa/protocol';
import { isSameLineage, type Position } from '@engawa/protocol/position';
import { jsonByteLength } from '../connection/byte-size.ts';
import { closedResult, type ErrorInfo, type FailedResult, failedResult } from '../connection/result.ts';
import type { EntryRef, OutboxStore, OutboxUpdate, OutgoingEvent, StoredRequest } from '../storage/outbox-store.ts';
import { canCoordinate } from '../storage/tabs.ts';
import { applyOptimisticChange, type OptimisticChat } from '../timeline/chat-reducer.ts';
import { type Entry, isKind } from '../timeline/entry.ts';
import type { RoomSync } from './room-sync.ts';

/** Limits of the pending requests, and of the acknowledged chats that are remembered. */
export const MAX_OUTBOX_ITEMS = 1_000;
export const MAX_OUTBOX_BYTES = 1024 * 1024;
/** The size limit of a packet, no more than that of a single chat, so that a packet takes no longer on a slow network. */
const MAX_PACKET_BYTES = 16_000;
/** An estimate of the bytes of a chat in a packet, without its fields. */
const CHAT_OVERHEAD_BYTES = 64;
const MAX_PACKET_CHATS = 100;

/** `sending` until the server has stored it (`sent`) or refused it for good (`failed`). */
export type OutgoingState = 'sending' | 'sent' | 'failed';

/** An own request on its way: a chat, an edit, a deletion or a reaction. */
export interface OutgoingRequest {
  readonly clientId: string;
  readonly event: OutgoingEvent;
  /** When it was written, by this machine's clock: milliseconds since 1970. Increases with each request. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: ErrorInfo | undefined;
  /** Its seq in the room, once it is sent. */
  readonly seq: number | undefined;
  /** Sends a failed request again, as the newest one, to the current room. */
  retry(): void;
  /** Removes a failed request. */
  discard(): void;
}

/** An own chat on its way. */
export interface OutgoingChat extends OutgoingRequest {
  readonly message: string;
  /** The seq of the chat that it replies to. Undefined after the log was replaced: there the seq may be another chat's. */
  readonly replyTo: number | undefined;
  /** Resolves when it is sent or has failed, without a time limit; never rejects. */
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
 * The own requests of a room, in the order of writing. Only one packet is in flight at a time, so that the room stores them in
 * that order. Pending chats share a packet; packets grow while each is accepted at once.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #items = new Requests();
  /** The last acknowledged chats: they are sent again if the log is set back to before them. */
  readonly #acknowledged = new Requests();
  #latestTimestamp = 0;
  #isSending = false;
  #maxPacketChats = 1;
  /** The result of all requests after the end; nothing is sent any more. */
  #closeResult: FailedResult | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Own chats that the room has not delivered yet. */
  get pending(): readonly OutgoingChat[] {
    return [...this.#items].filter(({ isChat }) => isChat);
  }

  /** Applies the pending changes to the chats. */
  applyPendingChanges(chats: readonly Chat[]): readonly OptimisticChat[] {
    const changes = [...this.#items].filter((request) => !request.isChat && this.#targetsCurrentLog(request));
    if (changes.length === 0) return chats;
    const me = this.#options.roomSync.username;
    const changesTo = ({ seq }: Chat) => changes.filter(({ stored }) => stored.fields.chatSeq === seq);
    return chats.map((chat) =>
      changesTo(chat).reduce<OptimisticChat>((before, { stored }) => applyOptimisticChange(before, stored, me), chat),
    );
  }

  /** Sends a chat, or a change of the chat at `chatSeq`. */
  send(event: OutgoingEvent, fields: Fields): OutboxItem {
    const { store, newId, roomSync } = this.#options;
    const { username } = roomSync;
    const chatId = fields.chatSeq ? roomSync.chats.find(({ seq }) => seq === fields.chatSeq)?.id : undefined;
    const origin = { epoch: this.epoch, life: store.instanceId, username };
    const request = new OutboxItem(this, { event, clientId: newId(), fields, chatId, at: this.#nextTimestamp(), ...origin });
    this.#add(request);
    return request;
  }

  /** Adds requests that are in the storage, or were written by another page of this user. */
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

  /** An update of the outbox by another page of this user. */
  onStoreUpdate({ clientId, request, place }: OutboxUpdate): void {
    const { store, roomSync } = this.#options;
    const known = this.#items.get(clientId);
    // Only this page knows the state of what it is sending.
    if (known?.state === 'sending' && known.stored.life === store.instanceId) return;
    if (request?.username === roomSync.username) this.addStored([request]);
    else if (known && place) this.#markSent(known, { ok: true, ...place });
    else if (known && !request) this.#remove(known);
  }

  /** The entry of an own request replaces the pending one. An entry has no client id if its text was replaced since. */
  onEntry(entry: Entry): void {
    const isOwn = isKind(entry, 'create:chat') && entry.username === this.#options.roomSync.username;
    const own = isOwn && this.#items.get((entry as { clientId?: string }).clientId);
    const request = own || [...this.#items].find(({ entryRef }) => entryRef?.id === entry.id);
    if (!request) return;
    this.#markSent(request, { ok: true, ...entry });
    this.#remove(request);
  }

  /**
   * A sent request stays pending until the room delivers its entry, so that a chat is never shown twice and never missing. If the
   * room has delivered another entry at its seq, the log has lost it.
   */
  onPosition({ epoch, seq }: Position): void {
    const passed: OutboxItem[] = [];
    for (const request of this.#items) if (request.entryRef?.epoch === epoch && request.entryRef.seq <= seq) passed.push(request);
    if (passed.length === 0) return;
    for (const request of passed) this.#items.delete(request);
    this.#resend(passed.filter(({ isChat }) => isChat));
  }

  /** The log was replaced, and may have lost sent requests. */
  onReset(position: Position, isLost: (place: EntryRef) => boolean): void {
    const lost = [...this.#acknowledged].filter(({ entryRef }) => entryRef && isLost(entryRef));
    for (const request of this.#items) if (request.entryRef && !isAheadOf(request.entryRef, position)) this.#items.delete(request);
    this.#resend(lost);
  }

  /**
   * Ends the outbox, and settles the pending requests with this result. They stay in the storage for the next join, but not after
   * a leave.
   */
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

  /** The epoch of the current log. */
  get epoch(): string {
    return this.#options.roomSync.position?.epoch ?? '';
  }

  /** Strictly increasing, even if the clock is set back: the order of writing. */
  #nextTimestamp(): number {
    this.#latestTimestamp = Math.max(Date.now(), this.#latestTimestamp + 1);
    return this.#latestTimestamp;
  }

  /** Sends a failed request again. A chat moves to the current log; a change applies only to the log that it was written for. */
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
    // Failed requests make room for new ones.
    for (const old of this.#items) {
      if (this.#items.fits(request)) break;
      old.discard();
    }
    const rejection = this.#closeResult ?? (this.#items.fits(request) ? undefined : failedResult('busy', 'Too much waits.', true));
    if (rejection) {
      // It is not shown either: a request beyond the limits must not take up memory.
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

  /** The chat for the current log, without its reply: `replyTo` is a seq of the former log. */
  #rebase({ message }: OutboxItem): Pick<StoredRequest, 'epoch' | 'fields'> {
    return { epoch: this.epoch, fields: { message } };
  }

  /**
   * Sends lost chats again, in the same packets as before: the room stores a packet once, so nothing is duplicated. Without their
   * replies, since the log may have lost those chats, too, and a chat that was acknowledged must not be refused.
   */
  #resend(lost: OutboxItem[]): void {
    // Another page may have announced the same request.
    const isLost = ({ packetId }: OutboxItem) => lost.some((each) => each.packetId === packetId);
    const { instanceId } = this.#options.store;
    const resent = new Requests();
    for (const request of this.#acknowledged) {
      if (!isLost(request)) continue;
      const { stored, packetId } = request;
      resent.add(new OutboxItem(this, { ...stored, ...this.#rebase(request), life: instanceId, packet: packetId, index: undefined }));
    }
    for (const request of resent) this.#save(request);
    for (const request of this.#acknowledged) if (isLost(request)) this.#acknowledged.delete(request);
    // A request that is pending in one of these packets stays in it.
    for (const request of this.#items) if (!resent.get(request.clientId)) resent.add(request);
    this.#items = resent;
    this.#onChange();
  }

  #onChange(): void {
    void this.flush();
    this.#options.onChange();
  }

  /** Call it when there may be more to send, such as requests of another page that has ended. */
  async flush(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (!this.#closeResult) {
      const packet = this.#nextPacket();
      const [first] = packet;
      if (!first) break;
      // Store before sending: if the page crashes, a retry has the same client id and is stored once.
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
      // Another page removed it, and this one may have stored it again at the same time.
      for (const { clientId, state } of packet)
        if (state === 'sending' && !this.#items.get(clientId)) void this.#options.store.save({ clientId });
    }
    this.#isSending = false;
  }

  /**
   * The next packet: the same one as before if it was tried, else as many chats as fit, or one change. A chat that was sent alone is
   * not stored again with its packet id, so after a crash it seems untried. It is the oldest of its page: the next packet has its
   * client id as idempotency key, and the server recognises it.
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

  /**
   * After a crash only a part of the packet may be left, while the answer has the seqs of all. A single seq may be that of the first
   * chat, which was tried alone before: then the others have none.
   */
  #onPacketAccepted(packet: OutboxItem[], answer: { ok: true; chats?: Omit<EntryRef, 'epoch'>[] } & EntryRef): void {
    const { chats } = answer;
    const isComplete = packet.length > 1 && packet.length === chats?.length;
    const unplaced = packet.filter((each, index) => {
      const place = chats ? chats[isComplete ? index : (each.stored.index ?? index)] : answer;
      if (place) this.#markSent(each, { ...answer, ...place });
      return !place;
    });
    this.#splitPacket(unplaced);
  }

  /**
   * One request of the packet may be the reason of the refusal: none was stored, and each can go into another packet. It goes
   * backwards, so that after a crash no remaining one seems to have been tried.
   */
  #splitPacket(packet: OutboxItem[]): void {
    for (const each of packet.reverse()) {
      if (!this.#isWaiting(each)) continue;
      each.stored = { ...each.stored, packet: undefined };
      this.#save(each);
    }
  }

  #buildRequest(packet: OutboxItem[]): RequestInput<OutgoingEvent | 'create:chats'> | FailedResult {
    const [first] = packet as [OutboxItem];
    const { epoch } = first.stored;
    // Another page may have removed them, since the member left.
    if (packet.every((each) => each.state === 'sending' && !this.#isWaiting(each))) return closedResult();
    if (epoch && !isSameLineage(epoch, this.epoch)) return failedResult('room_replaced', 'Its room is gone.');
    if (!this.#targetsCurrentLog(first)) return failedResult('chat_not_found', 'Its log was set back.');
    const { roomId, username } = this.#options.roomSync;
    const dropReply = epoch !== this.epoch && { replyTo: undefined };
    const chats = packet.map(({ clientId, stored: { fields } }) => ({ clientId, ...fields, ...dropReply }));
    return { roomId, username, ...(isSingle(packet) ? chats[0] : { clientId: first.packetId, chats }) } as RequestInput<OutgoingEvent>;
  }

  /** In another log the seq may be another chat's. */
  #targetsCurrentLog({ stored: { epoch, chatId, fields } }: Pick<OutboxItem, 'stored'>): boolean {
    if (!fields.chatSeq || epoch === this.epoch) return true;
    return this.#options.roomSync.chats.some(({ seq, id }) => seq === fields.chatSeq && id === chatId);
  }

  /** Called for the answer and for the entry, whichever comes first. */
  #markSent(request: OutboxItem, answer: { ok: true } & EntryRef): void {
    const { epoch, seq, id } = answer;
    const { store, roomSync, onChange } = this.#options;
    if (request.state === 'sent') return;
    void store.save({ clientId: request.clientId, place: { epoch, seq, id } });
    // The same request may be refused to one page and accepted from another.
    if (request.state === 'failed') return;
    request.settle(answer);
    if (request.isChat) this.#acknowledged.push(request);
    const { position } = roomSync;
    if (position && position.epoch !== epoch) roomSync.resyncFromNewest();
    else if (isAheadOf(answer, position)) roomSync.addReported(answer);
    else this.#remove(request);
    onChange();
  }

  #isWaiting(request: OutboxItem): boolean {
    return request.state === 'sending' && this.#items.get(request.clientId) === request;
  }

  #markFailed(request: OutboxItem, answer: FailedResult): void {
    // Another page may have sent or removed it meanwhile.
    if (!this.#isWaiting(request)) return;
    request.settle(answer);
    if (request.isChat) {
      request.stored = { ...request.stored, error: answer.error };
      this.#save(request);
    } else request.discard();
    this.#options.onFailed(request);
    this.#options.onChange();
  }
}

/** Requests by client id, in insertion order, with their size. */
class Requests {
  readonly #all = new Map<string | undefined, OutboxItem>();
  #bytes = 0;

  get(clientId: string | undefined): OutboxItem | undefined {
    return this.#all.get(clientId);
  }

  /** Replaces a request with the same client id. */
  add(request: OutboxItem): void {
    this.#bytes += request.bytes - (this.#all.get(request.clientId)?.bytes ?? 0);
    this.#all.set(request.clientId, request);
  }

  /** Removes the oldest ones if there is no room. */
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

  /** Whether one more fits. */
  fits({ bytes }: OutboxItem): boolean {
    return this.#all.size < MAX_OUTBOX_ITEMS && this.#bytes + bytes <= MAX_OUTBOX_BYTES;
  }
}

const isSingle = ([first, other]: OutboxItem[]): boolean => !other && first?.packetId === first?.clientId;

/**
 * Whether its entry is still to be delivered. A request that changed nothing has no id, and its seq may be that of an entry that
 * is not broadcast.
 */
const isAheadOf = (place: EntryRef | undefined, position: Position | undefined): boolean =>
  place?.id !== undefined && place.epoch === position?.epoch && place.seq > position.seq;

class OutboxItem implements OutgoingChat {
  readonly #outbox: Outbox;
  stored!: StoredRequest;
  persisted: Promise<unknown> | undefined;
  readonly bytes: number;
  #outcome: Outcome | undefined;
  #resolve: ((answer: unknown) => void) | undefined;
  /** A chat resolves with its seq, a change with the whole answer. */
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

  /** The id of the packet in which it was tried; without one, its own. */
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

  /** Sets the current content: pending, or failed. */
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
