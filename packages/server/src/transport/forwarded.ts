/** The address of the client that a request comes from, where reverse proxies stand in front. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { parseIp } from './ip-address.ts';
import { Networks } from './networks.ts';

/** The reverse proxies whose word counts: so many in a row before the server, or all in these networks. */
export type TrustedProxies = number | readonly string[];

/** What the proxies say of the addresses that asked them, the client's first. One may be hidden, or no address. */
type Hops = readonly string[];

/** Finds the address of the client that a request comes from. */
export class ClientAddresses {
  readonly #isTrusted: (ip: string, hop: number) => boolean;

  constructor(trusted: TrustedProxies) {
    if (typeof trusted === 'number') this.#isTrusted = (_, hop) => hop < trusted;
    else {
      const networks = new Networks(trusted);
      this.#isTrusted = (ip) => networks.has(ip);
    }
  }

  /** Whether requests on this TCP connection may be those of many clients. */
  isProxy(ip: string): boolean {
    return this.#isTrusted(ip, 0);
  }

  /** Whether it came through a proxy that is not trusted: all its clients are one address then. */
  isUnknownProxy({ headers, socket }: IncomingMessage): boolean {
    return !this.isProxy(parseIp(socket.remoteAddress ?? '') ?? '') && chainsIn(headers).length > 0;
  }

  /**
   * Each proxy adds the address that it was asked from. So the walk begins at the other end of the TCP connection and goes
   * back as long as a proxy is trusted; what stands before that, any client may have made up. A client may also add the
   * header that its proxy does not know: where both are there and lead to different addresses, or one cannot be read, all
   * such requests through one proxy count as those of one address, which is nobody else's.
   */
  of({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): string {
    const direct = parseIp(socket.remoteAddress ?? '') ?? '';
    if (!this.isProxy(direct)) return direct;
    const chains = chainsIn(headers);
    if (chains.includes(undefined)) return unreliable(direct);
    const [first = direct, ...others] = chains.map((hops) => this.#walk(direct, hops ?? []));
    return others.every((other) => other === first) ? first : unreliable(direct);
  }

  #walk(direct: string, hops: Hops): string {
    let address = direct;
    for (let hop = 0; this.#isTrusted(address, hop); hop += 1) {
      const asker = parseIp(hops.at(-1 - hop) ?? '');
      if (asker === undefined) return address;
      address = asker;
    }
    return address;
  }
}

const unreliable = (proxy: string): string => `unreliable through ${proxy}`;

function chainsIn({ 'x-forwarded-for': list, forwarded }: IncomingHttpHeaders): (Hops | undefined)[] {
  const chains: (Hops | undefined)[] = [];
  if (list !== undefined) chains.push([list].flat().join(',').split(','));
  if (forwarded !== undefined) chains.push(hopsInForwarded(forwarded));
  return chains;
}

/** Characters of a `Forwarded` header that are read: more than any row of proxies writes. */
const MOST_READ = 2_048;
/** One `name=value` of RFC 7239, or nothing, and what ends it. The value may be quoted. */
const PAIR = /\s*(?:([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?\s*([,;]|$)/y;

/**
 * The `for` of each element. Undefined when the header cannot be read to its end: a client may have opened a quotation in
 * which the words of the proxy disappear.
 */
function hopsInForwarded(header: string): Hops | undefined {
  if (header.length > MOST_READ) return undefined;
  const hops = [''];
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < header.length) {
    const [, name, value = '', end] = PAIR.exec(header) ?? [];
    if (end === undefined) return undefined;
    if (name?.toLowerCase() === 'for') hops[hops.length - 1] = unquoted(value);
    if (end === ',') hops.push('');
  }
  return hops;
}

const unquoted = (value: string): string => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);
