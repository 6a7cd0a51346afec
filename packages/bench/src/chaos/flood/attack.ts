/** What an attack is, and what it is given: clients whose requests are counted, and a budget that ends it. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ack, EventName, RequestInput } from '@engawa/protocol';
import { type HttpRequest, type HttpResponse, httpRequest, openTcp } from '../http-client.ts';
import { type OpenOptions, SocketIoClient, type Target } from '../socketio-client.ts';

export interface Attack {
  /** In kebab case; `--only` takes it. */
  name: string;
  /** What it does, in one sentence. */
  what: string;
  /** Groups of docs/security-coverage.md that it covers. */
  groups: readonly number[];
  /** Flags of `engawa serve`, where the defaults would refuse the attack at once. */
  args?: readonly string[];
  /** File descriptors of the server, when the attack is to use them up. */
  descriptors?: number;
  /** The connections stay open, and silent, until the server has given the memory back by itself. */
  holdsConnections?: boolean;
  /** What must be there before; the limits are lifted while it runs. */
  prepare?: (context: AttackContext) => Promise<void>;
  run: (context: AttackContext) => Promise<void>;
}

export interface AttackReport {
  requests: number;
  /** Requests that did what the attacker wanted. */
  accepted: number;
  bytes: number;
  /** What the server must never do, each kind once. */
  findings: string[];
}

/** What one attack may send at most, whatever happens. */
const MAX_REQUESTS = 3_000_000;
const MAX_BYTES = 2 * 2 ** 30;
const MAX_FINDINGS = 5;
/** After a failure, so that a server that is gone is not hammered. */
const RETRY_DELAY_MS = 20;

/** Ends an attack by time, by number and by bytes. */
export class Budget {
  readonly #until: number;
  readonly #findings = new Set<string>();
  #requests = 0;
  #accepted = 0;
  #bytes = 0;

  constructor(seconds: number) {
    this.#until = performance.now() + seconds * 1_000;
  }

  get isSpent(): boolean {
    return this.millisecondsLeft === 0 || this.#requests >= MAX_REQUESTS || this.#bytes >= MAX_BYTES;
  }

  get millisecondsLeft(): number {
    return Math.max(this.#until - performance.now(), 0);
  }

  spend(bytes: number, requests = 1): void {
    this.#requests += requests;
    this.#bytes += bytes;
  }

  accept(requests = 1): void {
    this.#accepted += requests;
  }

  /** Something that must never happen. */
  report(finding: string): void {
    if (this.#findings.size < MAX_FINDINGS) this.#findings.add(finding);
  }

  toReport(): AttackReport {
    return { requests: this.#requests, accepted: this.#accepted, bytes: this.#bytes, findings: [...this.#findings] };
  }
}

export class AttackContext {
  readonly target: Target;
  readonly budget: Budget;

  constructor(target: Target, budget: Budget) {
    this.target = target;
    this.budget = budget;
  }

  /** Does it again and again in so many loops side by side, until the budget is spent. A failure delays its own loop only. */
  async repeat(loops: number, act: (loop: number, round: number) => Promise<unknown>): Promise<void> {
    const runLoop = async (loop: number): Promise<void> => {
      for (let round = 0; !this.budget.isSpent; round += 1) await act(loop, round).catch(() => sleep(RETRY_DELAY_MS));
    };
    await Promise.all(Array.from({ length: loops }, (_, loop) => runLoop(loop)));
  }

  /** Until the budget is spent. */
  async hold(): Promise<void> {
    while (!this.budget.isSpent) await sleep(Math.min(this.budget.millisecondsLeft + 1, 100));
  }

  async http(request: HttpRequest): Promise<HttpResponse> {
    this.budget.spend(request.path.length + (request.body?.length ?? 0));
    const response = await httpRequest(this.target, request);
    if (response.status >= 200 && response.status < 300) this.budget.accept();
    if (response.status >= 500 && response.status !== 503) this.budget.report(`${request.method ?? 'GET'} is answered ${response.status}`);
    return response;
  }

  async tcp(localAddress?: string): Promise<Socket> {
    this.budget.spend(0);
    return openTcp(this.target, localAddress);
  }

  /** A WebSocket that Engine.IO has greeted. */
  async open(options: OpenOptions = {}): Promise<SocketIoClient> {
    this.budget.spend(0);
    return SocketIoClient.open(this.target, { ...options, onSend: (bytes) => this.budget.spend(bytes) });
  }

  /** A WebSocket that a polling session may be going to change to. */
  async openTransport(options: OpenOptions): Promise<SocketIoClient> {
    this.budget.spend(0);
    return SocketIoClient.openTransport(this.target, { ...options, onSend: (bytes) => this.budget.spend(bytes) });
  }

  /** The same with a Socket.IO connection, of a session of its own unless one is given. */
  async connect({ session, ...options }: OpenOptions & { session?: string } = {}): Promise<SocketIoClient> {
    this.budget.spend(0);
    const onSend = (bytes: number): void => this.budget.spend(bytes);
    return SocketIoClient.connect(this.target, { ...options, onSend, ...(session !== undefined && { auth: { session } }) });
  }

  /** An event, whose success counts as accepted. */
  async ask<E extends EventName>(client: SocketIoClient, event: E, payload: RequestInput<E>): Promise<Ack<E>> {
    const answer = await client.ask(event, payload);
    if (answer.ok) this.budget.accept();
    return answer;
  }
}

/** The secret of a session that is the same in every run. */
export const sessionOf = (name: string): string => name.padEnd(40, '-');

/** One of 16,000 source addresses that are nobody else's. */
export const addressOf = (index: number): string => `127.9.${Math.floor(index / 250) % 64}.${(index % 250) + 1}`;

/** Resolves after that time at the latest. */
export const atMost = (promise: Promise<unknown>, milliseconds: number): Promise<unknown> =>
  Promise.race([promise, sleep(milliseconds, undefined, { ref: false })]);
