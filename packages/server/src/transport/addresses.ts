import type { IncomingMessage } from 'node:http';
import { ChatError, type Rates } from '@engawa/protocol';
import { Bucket } from './rates.ts';

const FORGET_MS = 10_000;

interface Address {
  connections: number;
  packets: Bucket;
  connects: Bucket;
}

/** What each network address does here, as far as it is limited. */
export class Addresses {
  readonly #rates: Rates;
  readonly #known = new Map<string, Address>();
  readonly #timer = setInterval(() => this.#forgetQuietOnes(), FORGET_MS);

  constructor(rates: Rates) {
    this.#rates = rates;
  }

  /** One more connection, or a refusal. Whoever connected must `disconnect` once. */
  connect(name: string): Bucket {
    const address = this.#known.get(name) ?? this.#meet(name);
    address.connects.take();
    if (address.connections >= this.#rates.connectionsPerAddress) throw new ChatError('too_many_connections');
    address.connections += 1;
    return address.packets;
  }

  disconnect(name: string): void {
    const address = this.#known.get(name);
    if (address) address.connections -= 1;
  }

  close(): void {
    clearInterval(this.#timer);
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
  if (trustedProxies === 0) return direct;
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim());
  return forwarded.at(-trustedProxies) || direct;
}
