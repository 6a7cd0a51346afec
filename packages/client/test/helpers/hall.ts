import type { Ask, ErrorCode, EventName, Missed, Resumed } from '@engawa/protocol';
import { LIMITS } from '@engawa/protocol/limits';
import { type Link, type LinkAuth, LinkError, type LinkFactory, type LinkListeners } from '#link.js';
import { type Deed, Log, ROOM } from './log.ts';

type Answered = { ok: boolean; [field: string]: unknown };
/** `lost`: done, and the connection drops before the answer. `never`: not done, and no answer. */
type Fault = 'lost' | 'never' | { code: ErrorCode; retryable?: boolean; retryAfter?: number } | Record<string, unknown>;

/** A server with one room, as far as a client can see, that does what a test tells it to. Nothing takes time. */
export class Hall {
  log: Log | undefined = new Log();
  readonly asked: { event: string; payload: Record<string, unknown> }[] = [];
  readonly sessions: string[] = [];
  readonly members = new Map<string, string>();
  readonly marks = new Map<string, number>();
  readonly #once = new Map<string, Missed[]>();
  readonly #faults: { event: EventName; fault: Fault }[] = [];
  readonly #links = new Set<HallLink>();
  isOpen = true;
  banned = new Set<string>();
  pageOfResume = 500;
  beforeAnswer: (event: string) => void = () => undefined;
  /** What happens while the answer is on its way. */
  afterAnswer: (event: string) => void = () => undefined;

  readonly link: LinkFactory = (_url, listeners) => new HallLink(this, listeners, this.#links);

  /** The next ask of this kind meets a fault. */
  fail(event: EventName, fault: Fault): void {
    this.#faults.push({ event, fault });
  }

  asksOf(event: EventName): Record<string, unknown>[] {
    return this.asked.filter((each) => each.event === event).map(({ payload }) => payload);
  }

  /** All connections are gone; there are none until `open`. */
  drop(): void {
    this.isOpen = false;
    for (const link of this.#links) link.drop();
  }

  open(): void {
    this.isOpen = true;
    for (const link of this.#links) link.connect();
  }

  /** There is no room any more. */
  close(): void {
    this.log = undefined;
  }

  refuse(error: { code: ErrorCode; retryable: boolean; retryAfter?: number }): void {
    for (const link of this.#links) link.listeners.refused({ message: error.code, ...error });
  }

  /** Somebody else does something. */
  tell(deed: Deed): Missed {
    const entry = this.log!.add(deed);
    this.say(`${entry.kind}:success`, heardOf(entry));
    return entry;
  }

  say(event: string, payload: unknown): void {
    for (const link of this.#links) if (link.isUp && !link.isDeaf) link.listeners.heard(event, payload);
  }

  answer(link: HallLink, event: EventName, payload: Record<string, unknown>): Answered | 'never' {
    this.asked.push({ event, payload });
    this.beforeAnswer(event);
    const at = this.#faults.findIndex((each) => each.event === event);
    const [found] = at < 0 ? [] : this.#faults.splice(at, 1);
    if (found?.fault === 'never') return 'never';
    if (typeof found?.fault === 'object') {
      const { code } = found.fault;
      return code === undefined ? { ok: true, ...found.fault } : { ok: false, error: { message: code, retryable: false, ...found.fault } };
    }
    link.isDeaf = found?.fault === 'lost';
    const answer = this.#do(event, payload, link.auth?.session ?? '');
    this.afterAnswer(event);
    if (found?.fault !== 'lost') return answer;
    link.drop();
    return 'never';
  }

  #do(event: EventName, payload: Record<string, unknown>, session: string): Answered {
    if (event === 'resume:rooms') return this.#resume(payload as Ask<'resume:rooms'>, session);
    if (event === 'create:room') this.log ??= new Log('e9');
    if (event === 'create:room' || event === 'add:member') return this.#join(payload as Ask<'add:member'>, session);
    if (event === 'list:rooms') return { ok: true, rooms: [], more: false };
    const username = typeof payload.username === 'string' ? payload.username : ([...this.members.keys()][0] ?? '');
    const error = this.#whyNot(username, session);
    if (error) return error;
    if (event === 'list:chats') return this.#list(payload, username);
    if (event === 'mark:read') this.marks.set(username, Math.max(this.marks.get(username) ?? 1, Number(payload.seq)));
    if (event === 'mark:read') return { ok: true, roomId: ROOM, ...this.#unread(username) };
    if (event.includes('typing') || event.includes('presence')) return { ok: true, roomId: ROOM };
    return this.#add(event, payload, username);
  }

  #whyNot(username: string, session: string): Answered | undefined {
    if (!this.log) return refusal('room_not_found');
    if (this.banned.has(username)) return refusal('removed');
    return this.members.get(username) === session ? undefined : refusal('not_a_member');
  }

  #join({ username }: Ask<'add:member'>, session: string): Answered {
    const log = this.log;
    if (!log) return refusal('room_not_found');
    const holder = this.members.get(username);
    if (holder !== undefined && holder !== session) return refusal('name_taken');
    this.members.set(username, session);
    const entry = holder === undefined ? this.tell({ kind: 'add:member', by: username }) : undefined;
    const { epoch, head: seq } = log;
    const place = { roomId: ROOM, epoch, seq, tail: log.tailAt(seq), ...(entry && { id: entry.id, at: entry.at }) };
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
      ...this.#unread(username),
    };
  }

  #unread(username: string) {
    const read = this.marks.get(username) ?? 1;
    const unread = this.log?.chats(username).filter((chat) => chat.seq > read && chat.username !== username && !chat.deleted) ?? [];
    const mentions = unread.filter(({ message }) => message?.includes(username)).length;
    return { read, unread: unread.length, mentions, asOf: this.log?.head ?? 0 };
  }

  #list({ before, limit }: Record<string, unknown>, me: string): Answered {
    const log = this.log!;
    const page = log.page(me, { ...(typeof before === 'number' && { before }), ...(typeof limit === 'number' && { limit }) });
    return { ok: true, roomId: ROOM, epoch: log.epoch, seq: log.head, tail: log.tailAt(log.head), ...page };
  }

  #add(event: EventName, payload: { clientId?: string }, by: string): Answered {
    const before = payload.clientId === undefined ? undefined : this.#once.get(this.log!.epoch + payload.clientId);
    const { roomId: _, chats, ...fields } = payload as Record<string, unknown>;
    const all = (chats ?? [fields]) as Record<string, unknown>[];
    const entries = before ?? all.map((each) => this.tell({ kind: chats ? 'create:chat' : event, by, ...each }));
    if (payload.clientId !== undefined) this.#once.set(this.log!.epoch + payload.clientId, entries);
    const { epoch, seq, id, at } = entries.at(-1)!;
    return { ok: true, roomId: ROOM, epoch, seq, id, at, ...(chats !== undefined && { chats: entries.map(placeIn) }) };
  }

  #resume({ rooms }: Ask<'resume:rooms'>, session: string): Answered {
    return { ok: true, rooms: rooms.map((held) => this.#resumeOne(held, session)) };
  }

  #resumeOne({ roomId, username, epoch, seq, id }: Ask<'resume:rooms'>['rooms'][number], session: string): Resumed {
    const error = this.#whyNot(username, session);
    if (error) return { outcome: 'refused', roomId, ...error } as unknown as Resumed;
    const log = this.log!;
    const head = log.positionAt(log.head);
    const isKnown = epoch === log.epoch && seq <= log.head && (seq === 0 || log.tailAt(seq) === id);
    if (!isKnown) return { outcome: 'reset', roomId, ...head, ...this.#membership(username), page: log.page(username) };
    const entries = log.told(seq);
    if (entries.length <= this.pageOfResume) return { outcome: 'caught_up', roomId, ...head, entries };
    const some = entries.slice(0, this.pageOfResume);
    return { outcome: 'more', roomId, ...log.positionAt(some.at(-1)!.seq), entries: some };
  }
}

/** When a link tries to come back by itself. */
const RETURN_MS = 500;

class HallLink implements Link {
  readonly listeners: LinkListeners;
  readonly #hall: Hall;
  auth: LinkAuth | undefined;
  isUp = false;
  isDeaf = false;
  #isWanted = false;
  readonly #waiting = new Set<() => void>();

  constructor(hall: Hall, listeners: LinkListeners, links: Set<HallLink>) {
    this.#hall = hall;
    this.listeners = listeners;
    links.add(this);
  }

  open(auth: LinkAuth): void {
    this.auth = auth;
    this.#isWanted = true;
    queueMicrotask(() => this.connect());
  }

  close(): void {
    this.#isWanted = false;
    this.#end();
  }

  connect(): void {
    if (this.isUp || !this.#isWanted || !this.#hall.isOpen) return;
    this.isUp = true;
    this.isDeaf = false;
    this.#hall.sessions.push(this.auth!.session);
    this.listeners.up();
  }

  drop(): void {
    if (!this.isUp) return;
    this.#end();
    setTimeout(() => this.connect(), RETURN_MS);
    this.listeners.down('transport close');
  }

  ask(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(new LinkError('No answer.'));
      if (!this.isUp) return fail();
      // As it would travel: nothing is shared, and what is undefined is not there.
      const asked = JSON.parse(JSON.stringify(payload)) as Record<string, unknown>;
      this.#waiting.add(fail);
      const answer = this.#hall.answer(this, event as EventName, asked);
      if (answer === 'never') return void setTimeout(fail, timeoutMs);
      queueMicrotask(() => {
        this.#waiting.delete(fail);
        resolve(JSON.parse(JSON.stringify(answer)));
      });
    });
  }

  #end(): void {
    this.isUp = false;
    for (const fail of this.#waiting) fail();
    this.#waiting.clear();
  }
}

const placeIn = ({ seq, id, at }: Missed): object => ({ seq, id, at });

function heardOf(entry: Missed): object {
  const { kind: _, ...fields } = entry;
  return fields;
}

const refusal = (code: ErrorCode): Answered => ({ ok: false, error: { code, message: code, retryable: false } });
