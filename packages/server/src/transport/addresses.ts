/** Counts what each network address uses of this node, and refuses what is too much. */
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { type AddressLimits, ChatError, type Rate } from '@engawa/protocol';
import { AddressBudgets } from './address-budgets.ts';
import { Bucket } from './rates.ts';

const FORGET_MS = 10_000;

/** What one network address uses. A limit that the operator has lifted has no bucket. */
export class Address {
  connections = 0;
  readonly connects: Bucket | undefined;
  readonly packets: Bucket | undefined;
  /** What its connections use once they are in. */
  readonly budgets: AddressBudgets;

  constructor(limits: AddressLimits) {
    this.connects = bucketOf(limits.connects);
    this.packets = bucketOf(limits.packets);
    this.budgets = new AddressBudgets(limits);
  }

  /** Forgetting it changes nothing. */
  get isIdle(): boolean {
    return this.connections === 0 && this.budgets.isIdle && [this.connects, this.packets].every((bucket) => bucket?.isFull() ?? true);
  }
}

const bucketOf = (rate: Rate | null): Bucket | undefined => (rate === null ? undefined : new Bucket(rate));

/** A connection as its address sees it. */
export class Visit {
  readonly address: Address;
  /** Why this connection may not come in. */
  readonly refusal: ChatError | undefined;
  /** So many connections are here from the address that this one is not worth a word. */
  readonly isCrowd: boolean;

  constructor(address: Address, { refusal, isCrowd }: Pick<Visit, 'refusal' | 'isCrowd'>) {
    this.address = address;
    this.refusal = refusal;
    this.isCrowd = isCrowd;
  }

  /** The connection is gone. */
  leave(): void {
    this.address.connections -= 1;
  }
}

/** What each network address does here, as far as it is limited. */
export class Addresses {
  readonly #limits: AddressLimits;
  readonly #known = new Map<string, Address>();
  readonly #timer = setInterval(() => this.#forgetIdle(), FORGET_MS);

  constructor(limits: AddressLimits) {
    this.#limits = limits;
  }

  /** One more connection; whoever arrived must `leave` once, also when it is refused. */
  arrive(name: string): Visit {
    const address = this.#known.get(name) ?? this.#meet(name);
    address.connections += 1;
    const most = this.#limits.connections ?? Infinity;
    const refusal = address.connections > most ? new ChatError('too_many_connections') : address.connects?.refusal();
    return new Visit(address, { refusal, isCrowd: address.connections > 2 * most });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #meet(name: string): Address {
    const address = new Address(this.#limits);
    this.#known.set(name, address);
    return address;
  }

  #forgetIdle(): void {
    for (const [name, address] of this.#known) if (address.isIdle) this.#known.delete(name);
  }
}

/**
 * The client's address. Each proxy appends the address that it was asked from, so of `trustedProxies` proxies the first
 * wrote the entry that many places from the end; what stands before it, anybody may have made up.
 */
export function addressOf(request: IncomingMessage, trustedProxies: number): string {
  const direct = request.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return networkOf(direct);
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim());
  return networkOf(forwarded.at(-trustedProxies) || direct);
}

/** Of an IPv6 address the first 64 bits: whoever has one has all that begin so. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [front = '', back] = address.split('::');
  const groups = front === '' ? [] : front.split(':');
  const tail = back === undefined || back === '' ? [] : back.split(':');
  const zeros = back === undefined ? [] : Array.from({ length: 8 - groups.length - tail.length }, () => '0');
  return [...groups, ...zeros, ...tail].slice(0, 4).join(':');
}
