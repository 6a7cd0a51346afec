/** The address of the client that a request comes from, where reverse proxies stand in front. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { parseIp } from './ip-address.ts';
import { Networks } from './ip-networks.ts';

/** The reverse proxies whose word counts: so many in a row before the server, or all in these networks. */
export type TrustedProxies = number | readonly string[];

/** What the proxies say of the addresses that asked them, the client's first. One may be hidden, or no address. */
type Hops = readonly string[];

/** Finds the address of the client that a request comes from. */
export class ClientIpResolver {
  readonly #isTrusted: (ip: string, hop: number) => boolean;

  constructor(trustedProxies: TrustedProxies) {
    if (typeof trustedProxies === 'number') this.#isTrusted = (_, hop) => hop < trustedProxies;
    else {
      const networks = new Networks(trustedProxies);
      this.#isTrusted = (ip) => networks.has(ip);
    }
  }

  /** Whether requests on this TCP connection may be those of many clients. */
  isProxy(ip: string): boolean {
    return this.#isTrusted(ip, 0);
  }

  /** Whether it came through a proxy that is not trusted: all its clients are one address then. */
  isUntrustedProxy({ headers, socket }: IncomingMessage): boolean {
    return !this.isProxy(parseIp(socket.remoteAddress ?? '') ?? '') && parseChains(headers).length > 0;
  }

  /**
   * Each proxy adds the address that it was asked from. So the walk begins at the other end of the TCP connection and goes
   * back as long as a proxy is trusted; what stands before that, any client may have made up. A client may also add the
   * header that its proxy does not know: where both are there and lead to different addresses, or one cannot be read, all
   * such requests through one proxy count as those of one address, which is nobody else's.
   */
  resolve({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): string {
    const direct = parseIp(socket.remoteAddress ?? '') ?? '';
    if (!this.isProxy(direct)) return direct;
    const chains = parseChains(headers);
    if (chains.includes(undefined)) return unreliableAddress(direct);
    const [first = direct, ...others] = chains.map((hops) => this.#followHops(direct, hops ?? []));
    return others.every((other) => other === first) ? first : unreliableAddress(direct);
  }

  #followHops(direct: string, hops: Hops): string {
    let address = direct;
    for (let hop = 0; this.#isTrusted(address, hop); hop += 1) {
      const previous = parseIp(hops.at(-1 - hop) ?? '');
      if (previous === undefined) return address;
      address = previous;
    }
    return address;
  }
}

const unreliableAddress = (proxy: string): string => `unreliable through ${proxy}`;

function parseChains({ 'x-forwarded-for': list, forwarded }: IncomingHttpHeaders): (Hops | undefined)[] {
  const chains: (Hops | undefined)[] = [];
  if (list !== undefined) chains.push([list].flat().join(',').split(','));
  if (forwarded !== undefined) chains.push(parseForwarded(forwarded));
  return chains;
}

/** Characters of a `Forwarded` header that are read: more than any row of proxies writes. */
const MAX_HEADER_CHARS = 2_048;
/** One `name=value` of RFC 7239, or nothing, and what ends it. The value may be quoted. */
const FORWARDED_PAIR = /\s*(?:([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?\s*([,;]|$)/y;

/**
 * The `for` of each element. Undefined when the header cannot be read to its end: a client may have opened a quotation in
 * which the words of the proxy disappear.
 */
function parseForwarded(header: string): Hops | undefined {
  if (header.length > MAX_HEADER_CHARS) return undefined;
  const hops = [''];
  FORWARDED_PAIR.lastIndex = 0;
  while (FORWARDED_PAIR.lastIndex < header.length) {
    const [, name, value = '', end] = FORWARDED_PAIR.exec(header) ?? [];
    if (end === undefined) return undefined;
    if (name?.toLowerCase() === 'for') hops[hops.length - 1] = unquote(value);
    if (end === ',') hops.push('');
  }
  return hops;
}

const unquote = (value: string): string => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);
