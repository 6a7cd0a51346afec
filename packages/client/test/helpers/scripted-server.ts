/** The scripted server: one room over an in-memory transport, controlled by the test. */
import type { ErrorCode, EventName, MissedEntry, RequestInput, ResumeResult } from '@engawa/protocol';
import { LIMITS } from '@engawa/protocol/limits';
import {
  type Transport,
  type TransportAuth,
  TransportError,
  type TransportFactory,
  type TransportListeners,
} from '#connection/transport.js';
import { type EntryInput, ModelLog, ROOM } from './log.ts';

type AnswerBody = { ok: boolean; [field: string]: unknown };
/** `lost`: applied, and the connection drops before the answer. `never`: not applied, and no answer. */
type Fault = 'lost' | 'never' | { code: ErrorCode; retryable?: boolean; retryAfterMs?: number } | Record<string, unknown>;

/** A server with one room, as far as a client can see. Nothing takes time. */
export class ScriptedServer {
  log: ModelLog | undefined = new ModelLog();
  readonly requests: { event: string; payload: Record<string, unknown> }[] = [];
  readonly sessions: string[] = [];
  readonly members = new Map<string, string>();
  readonly marks = new Map<string, number>();
  readonly #byClientId = new Map<string, MissedEntry[]>();
  readonly #faults: { event: EventName; fault: Fault }[] = [];
  readonly #transports = new Set<ScriptedTransport>();
  isOpen = true;
  banned = new Set<string>();
  resumePageSize = 500;
  onRequest: (event: string) => void = () => undefined;
  /** Called between a request and its answer. */
  onAnswer: (event: string) => void = () => undefined;

  readonly createTransport: TransportFactory = (_url, listeners) => new ScriptedTransport(this, listeners, this.#transports);

  /** The next request of this event fails with this fault. */
  failNext(event: EventName, fault: Fault): void {
    this.#faults.push({ event, fault });
  }

  requestsOf(event: EventName): Record<string, unknown>[] {
    return this.requests.filter((each) => each.event === event).map(({ payload }) => payload);
  }

  /** Drops all connections; there are none until `open`. */
  drop(): void {
    this.isOpen = false;
    for (const link of this.#transports) link.drop();
  }

  open(): void {
    this.isOpen = true;
    for (const link of this.#transports) link.connect();
  }

  /** Deletes the room. */
  close(): void {
    this.log = undefined;
  }

  rejectConnections(error: { code: ErrorCode; retryable: boolean; retryAfterMs?: number }): void {
    for (const link of this.#transports) link.listeners.onRejected({ message: error.code, ...error });
  }

  /** Adds an entry of another member. */
  addEntry(input: EntryInput): MissedEntry {
    const entry = this.log!.add(input);
    this.emit(`${entry.kind}:success`, broadcastOf(entry));
    return entry;
  }

  emit(event: string, payload: unknown): void {
    for (const link of this.#transports) if (link.isUp && !link.isMuted) link.listeners.onEvent(event, payload);
  }

  answer(link: ScriptedTransport, event: EventName, payload: Record<string, unknown>): AnswerBody | 'never' {
    this.requests.push({ event, payload });
    this.onRequest(event);
    const index = this.#faults.findIndex((each) => each.event === event);
    const [fault] = index < 0 ? [] : this.#faults.splice(index, 1);
    if (fault?.fault === 'never') return 'never';
    if (typeof fault?.fault === 'object') {
      const { code } = fault.fault;
      return code === undefined ? { ok: true, ...fault.fault } : { ok: false, error: { message: code, retryable: false, ...fault.fault } };
    }
    link.isMuted = fault?.fault === 'lost';
    const answer = this.#handle(event, payload, link.auth?.session ?? '');
    this.onAnswer(event);
    if (fault?.fault !== 'lost') return answer;
    link.drop();
    return 'never';
  }

  #handle(event: EventName, payload: Record<string, unknown>, session: string): AnswerBody {
    if (event === 'resume:rooms') return this.#resume(payload as RequestInput<'resume:rooms'>, session);
    if (event === 'create:room') this.log ??= new ModelLog('e9');
    if (event === 'create:room' || event === 'add:member') return this.#join(payload as RequestInput<'add:member'>, session);
    if (event === 'list:rooms') return { ok: true, rooms: [], hasMore: false };
    const username = typeof payload.username === 'string' ? payload.username : ([...this.members.keys()][0] ?? '');
    const error = this.#accessError(username, session);
    if (error) return error;
    if (event === 'list:chats') return this.#list(payload, username);
    if (event === 'mark:read') this.marks.set(username, Math.max(this.marks.get(username) ?? 1, Number(payload.seq)));
    if (event === 'mark:read') return { ok: true, roomId: ROOM, ...this.#unreadCounts(username) };
    if (event.includes('typing') || event.includes('presence')) return { ok: true, roomId: ROOM };
    return this.#append(event, payload, username);
  }

  #accessError(username: string, session: string): AnswerBody | undefined {
    if (!this.log) return errorAnswer('room_not_found');
    if (this.banned.has(username)) return errorAnswer('removed');
    return this.members.get(username) === session ? undefined : errorAnswer('not_a_member');
  }

  #join({ username }: RequestInput<'add:member'>, session: string): AnswerBody {
    const log = this.log;
    if (!log) return errorAnswer('room_not_found');
    const holder = this.members.get(username);
    if (holder !== undefined && holder !== session) return errorAnswer('name_taken');
    this.members.set(username, session);
    const entry = holder === undefined ? this.addEntry({ kind: 'add:member', by: username }) : undefined;
    const { epoch, head: seq } = log;
    const place = { roomId: ROOM, epoch, seq, lastId: log.lastBroadcastIdAt(seq), ...(entry && { id: entry.id, at: entry.at }) };
    return { ok: true, ...place, ...this.#membership(username), session, limits: LIMITS };
  }

  #membership(username: string) {
    const { size } = this.members;
    return {
      username,
      role: 'member' as const,
      topic: 'tea',
      retention: {},
      members: size,
      online: size,
      ...this.#unreadCounts(username),
    };
  }

  #unreadCounts(username: string) {
    const read = this.marks.get(username) ?? 1;
    const unread = this.log?.chats(username).filter((chat) => chat.seq > read && chat.username !== username && !chat.deleted) ?? [];
    const mentions = unread.filter(({ message }) => message?.includes(username)).length;
    return { read, unread: unread.length, mentions, asOf: this.log?.head ?? 0 };
  }

  #list({ before, limit }: Record<string, unknown>, me: string): AnswerBody {
    const log = this.log!;
    const page = log.page(me, { ...(typeof before === 'number' && { before }), ...(typeof limit === 'number' && { limit }) });
    return { ok: true, roomId: ROOM, epoch: log.epoch, seq: log.head, lastId: log.lastBroadcastIdAt(log.head), ...page };
  }

  #append(event: EventName, payload: { clientId?: string }, by: string): AnswerBody {
    const previous = payload.clientId === undefined ? undefined : this.#byClientId.get(this.log!.epoch + payload.clientId);
    const { roomId: _, chats, ...fields } = payload as Record<string, unknown>;
    const all = (chats ?? [fields]) as Record<string, unknown>[];
    const entries = previous ?? all.map((each) => this.addEntry({ kind: chats ? 'create:chat' : event, by, ...each }));
    if (payload.clientId !== undefined) this.#byClientId.set(this.log!.epoch + payload.clientId, entries);
    const { epoch, seq, id, at } = entries.at(-1)!;
    return { ok: true, roomId: ROOM, epoch, seq, id, at, ...(chats !== undefined && { chats: entries.map(entryRefOf) }) };
  }

  #resume({ rooms }: RequestInput<'resume:rooms'>, session: string): AnswerBody {
    return { ok: true, rooms: rooms.map((held) => this.#resumeRoom(held, session)) };
  }

  #resumeRoom({ roomId, username, epoch, seq, id }: RequestInput<'resume:rooms'>['rooms'][number], session: string): ResumeResult {
    const error = this.#accessError(username, session);
    if (error) return { outcome: 'refused', roomId, ...error } as unknown as ResumeResult;
    const log = this.log!;
    const head = log.positionAt(log.head);
    const isKnown = epoch === log.epoch && seq <= log.head && (seq === 0 || log.lastBroadcastIdAt(seq) === id);
    if (!isKnown) return { outcome: 'reset', roomId, ...head, ...this.#membership(username), page: log.page(username) };
    const entries = log.broadcastAfter(seq);
    if (entries.length <= this.resumePageSize) return { outcome: 'caught_up', roomId, ...head, entries };
    const some = entries.slice(0, this.resumePageSize);
    return { outcome: 'more', roomId, ...log.positionAt(some.at(-1)!.seq), entries: some };
  }
}

/** The delay after which a transport reconnects. */
const RECONNECT_MS = 500;

class ScriptedTransport implements Transport {
  readonly listeners: TransportListeners;
  readonly #server: ScriptedServer;
  auth: TransportAuth | undefined;
  isUp = false;
  isMuted = false;
  #isOpen = false;
  readonly #pendingRequests = new Set<() => void>();

  constructor(server: ScriptedServer, listeners: TransportListeners, transports: Set<ScriptedTransport>) {
    this.#server = server;
    this.listeners = listeners;
    transports.add(this);
  }

  open(auth: TransportAuth): void {
    this.auth = auth;
    this.#isOpen = true;
    queueMicrotask(() => this.connect());
  }

  close(): void {
    this.#isOpen = false;
    this.#end();
  }

  connect(): void {
    if (this.isUp || !this.#isOpen || !this.#server.isOpen) return;
    this.isUp = true;
    this.isMuted = false;
    this.#server.sessions.push(this.auth!.session);
    this.listeners.onConnect();
  }

  drop(): void {
    if (!this.isUp) return;
    this.#end();
    setTimeout(() => this.connect(), RECONNECT_MS);
    this.listeners.onDisconnect('transport close');
  }

  request(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(new TransportError('No answer.'));
      if (!this.isUp) return fail();
      // A copy, as after serialization: nothing is shared, and undefined fields are missing.
      const request = JSON.parse(JSON.stringify(payload)) as Record<string, unknown>;
      this.#pendingRequests.add(fail);
      const answer = this.#server.answer(this, event as EventName, request);
      if (answer === 'never') return void setTimeout(fail, timeoutMs);
      queueMicrotask(() => {
        this.#pendingRequests.delete(fail);
        resolve(JSON.parse(JSON.stringify(answer)));
      });
    });
  }

  #end(): void {
    this.isUp = false;
    for (const fail of this.#pendingRequests) fail();
    this.#pendingRequests.clear();
  }
}

const entryRefOf = ({ seq, id, at }: MissedEntry): object => ({ seq, id, at });

function broadcastOf(entry: MissedEntry): object {
  const { kind: _, ...fields } = entry;
  return fields;
}

const errorAnswer = (code: ErrorCode): AnswerBody => ({ ok: false, error: { code, message: code, retryable: false } });
