/** Finds the client's IP address of a request behind reverse proxies. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { parseIp } from './ip-address.ts';
import { Networks } from './ip-networks.ts';

/** The trusted reverse proxies: how many in a row are in front of the server, or their networks. */
export type TrustedProxies = number | readonly string[];

/** The addresses that the proxies report, the client's first. An entry may be obfuscated, or no address. */
type Hops = readonly string[];

/** Finds the IP address of the client that sent a request. */
export class ClientIpResolver {
  readonly #isTrusted: (ip: string, hop: number) => boolean;

  constructor(trustedProxies: TrustedProxies) {
    if (typeof trustedProxies === 'number') this.#isTrusted = (_, hop) => hop < trustedProxies;
    else {
      const networks = new Networks(trustedProxies);
      this.#isTrusted = (ip) => networks.has(ip);
    }
  }

  /** Whether requests on this TCP connection may come from many clients. */
  isProxy(ip: string): boolean {
    return this.#isTrusted(ip, 0);
  }

  /** Whether the request came through an untrusted proxy: all of its clients then count as one address. */
  isUntrustedProxy({ headers, socket }: IncomingMessage): boolean {
    return !this.isProxy(parseIp(socket.remoteAddress ?? '') ?? '') && parseChains(headers).length > 0;
  }

  /**
   * Each proxy appends the address of its peer. So the search begins at the TCP connection and goes back as long as a proxy is
   * trusted: entries before that can be forged by a client. A client may also send the header that its proxy does not use. If
   * both headers are present and disagree, or one is malformed, all such requests through one proxy count as one separate
   * address.
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

/** Characters of a `Forwarded` header that are parsed: more than any chain of proxies writes. */
const MAX_HEADER_CHARS = 2_048;
/** An optional `name=value` pair of RFC 7239, and its separator. The value may be quoted. */
const FORWARDED_PAIR = /\s*(?:([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?\s*([,;]|$)/y;

/**
 * The `for` value of each element. Undefined if the header cannot be parsed to its end: an open quote of a client may swallow
 * what the proxy appended.
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
