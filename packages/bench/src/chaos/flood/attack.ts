// Defines an attack and its context: clients whose requests are counted, and a budget.
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ack, EventName, RequestInput } from '@engawa/protocol';
import { type OpenOptions, SocketIoClient, type Target } from '../../generator/socketio-client.ts';
import { type HttpRequest, type HttpResponse, httpRequest, openTcp } from '../http-client.ts';

export interface Attack {
  /** In kebab case, for `--only`. */
  name: string;
  /** Describes the attack in one sentence. */
  what: string;
  /** Groups of docs/security-coverage.md that it covers. */
  groups: readonly number[];
  /** Flags of `engawa serve`, if the attack would be refused at once with the defaults. */
  args?: readonly string[];
  /** Limit of file descriptors of the server, if the attack is to exhaust them. */
  descriptors?: number;
  /** Whether the connections stay open and silent until the server has released the memory by itself. */
  holdsConnections?: boolean;
  /** Prepares the attack; rate limits are off during this. */
  prepare?: (context: AttackContext) => Promise<void>;
  run: (context: AttackContext) => Promise<void>;
}

export interface AttackReport {
  requests: number;
  /** Requests that had the effect that the attacker wanted. */
  accepted: number;
  bytes: number;
  /** Misbehaviour of the server, each kind once. */
  findings: string[];
}

/** Hard limits of one attack. */
const MAX_REQUESTS = 3_000_000;
const MAX_BYTES = 2 * 2 ** 30;
const MAX_FINDINGS = 5;
/** Delay after a failure, so that a server that is down gets no request storm. */
const RETRY_DELAY_MS = 20;

/** Ends an attack by time, requests and bytes. */
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

  /** Reports misbehaviour of the server. */
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

  /** Repeats an action in parallel loops until the budget is spent. A failure delays only its own loop. */
  async repeat(loops: number, act: (loop: number, round: number) => Promise<unknown>): Promise<void> {
    const runLoop = async (loop: number): Promise<void> => {
      for (let round = 0; !this.budget.isSpent; round += 1) await act(loop, round).catch(() => sleep(RETRY_DELAY_MS));
    };
    await Promise.all(Array.from({ length: loops }, (_, loop) => runLoop(loop)));
  }

  /** Waits until the budget is spent. */
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

  /** Opens a WebSocket and waits for the Engine.IO handshake. */
  async open(options: OpenOptions = {}): Promise<SocketIoClient> {
    this.budget.spend(0);
    return SocketIoClient.open(this.target, { ...options, onSend: (bytes) => this.budget.spend(bytes) });
  }

  /** Opens a WebSocket for an upgrade of a polling session. */
  async openTransport(options: OpenOptions): Promise<SocketIoClient> {
    this.budget.spend(0);
    return SocketIoClient.openTransport(this.target, { ...options, onSend: (bytes) => this.budget.spend(bytes) });
  }

  /** Opens a Socket.IO connection, with a new session unless one is given. */
  async connect({ session, ...options }: OpenOptions & { session?: string } = {}): Promise<SocketIoClient> {
    this.budget.spend(0);
    const onSend = (bytes: number): void => this.budget.spend(bytes);
    return SocketIoClient.connect(this.target, { ...options, onSend, ...(session !== undefined && { auth: { session } }) });
  }

  /** Sends an event; a success counts as accepted. */
  async ask<E extends EventName>(client: SocketIoClient, event: E, payload: RequestInput<E>): Promise<Ack<E>> {
    const answer = await client.ask(event, payload);
    if (answer.ok) this.budget.accept();
    return answer;
  }
}

/** A session secret that is the same in every run. */
export const sessionOf = (name: string): string => name.padEnd(40, '-');

/** One of 16,000 source addresses that nothing else uses. */
export const addressOf = (index: number): string => `127.9.${Math.floor(index / 250) % 64}.${(index % 250) + 1}`;

/** Resolves after this time at the latest. */
export const atMost = (promise: Promise<unknown>, milliseconds: number): Promise<unknown> =>
  Promise.race([promise, sleep(milliseconds, undefined, { ref: false })]);
