import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { ChatError, type Rates } from '@engawa/protocol';
import { Bucket } from './rates.ts';

const FORGET_MS = 10_000;

interface Address {
  connections: number;
  packets: Bucket;
  connects: Bucket;
}

/** A connection as its address sees it. */
export class Visit {
  /** Why this connection may not come in. */
  readonly refusal: ChatError | undefined;
  /** So many connections are here from the address that this one is not worth a word. */
  readonly isCrowd: boolean;
  readonly #address: Address;

  constructor(address: Address, { refusal, isCrowd }: Pick<Visit, 'refusal' | 'isCrowd'>) {
    this.#address = address;
    this.refusal = refusal;
    this.isCrowd = isCrowd;
  }

  /** What the address may still ask. */
  get packets(): Bucket {
    return this.#address.packets;
  }

  /** The connection is gone. */
  leave(): void {
    this.#address.connections -= 1;
  }
}

/** What each network address does here, as far as it is limited. */
export class Addresses {
  readonly #rates: Rates;
  readonly #known = new Map<string, Address>();
  readonly #timer = setInterval(() => this.#forgetQuietOnes(), FORGET_MS);

  constructor(rates: Rates) {
    this.#rates = rates;
  }

  /** One more connection; whoever arrived must `leave` once, also when it is refused. */
  arrive(name: string): Visit {
    const address = this.#known.get(name) ?? this.#meet(name);
    address.connections += 1;
    return new Visit(address, { refusal: this.#refusalOf(address), isCrowd: address.connections > 2 * this.#rates.connectionsPerAddress });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #refusalOf({ connections, connects }: Address): ChatError | undefined {
    return connections > this.#rates.connectionsPerAddress ? new ChatError('too_many_connections') : connects.refusal();
  }

  #meet(name: string): Address {
    const { addressPackets, addressConnections } = this.#rates;
    const address = { connections: 0, packets: new Bucket(addressPackets), connects: new Bucket(addressConnections) };
    this.#known.set(name, address);
    return address;
  }

  #forgetQuietOnes(): void {
    for (const [name, { connections, packets, connects }] of this.#known) {
      if (connections === 0 && packets.isFull() && connects.isFull()) this.#known.delete(name);
    }
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
