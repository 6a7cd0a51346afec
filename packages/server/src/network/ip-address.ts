/** Parses IP addresses, and maps an IPv6 address to the /64 network of its client. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

/** RFC 7239 writes IPv6 in brackets. Either kind may have a port, which may be obfuscated. */
const BRACKETED = /^\[([^\]]*)\](?::[\w.-]+)?$/;
const IPV4_AND_PORT = /^([\d.]+):[\w.-]+$/;
const MAPPED_IPV4_PREFIX = [0, 0, 0, 0, 0, 0xffff];

/**
 * The address in a text with an optional port, brackets or zone; IPv4-mapped IPv6 becomes IPv4. Undefined if it is not an
 * address.
 */
export function parseIp(text: string): string | undefined {
  const trimmed = text.trim();
  const bare = (BRACKETED.exec(trimmed)?.[1] ?? IPV4_AND_PORT.exec(trimmed)?.[1] ?? trimmed).replace(/%.*$/, '');
  if (isIPv6(bare)) return mappedIPv4(bare) ?? bare;
  return isIPv4(bare) ? bare : undefined;
}

/** The /64 network of an IPv6 address: one client has all of its addresses. Any other text is returned unchanged. */
export function networkOf(ip: string): string {
  if (isIP(ip) !== 6) return ip;
  const network = groupsOf(ip).slice(0, 4);
  return `${network.map((group) => group.toString(16)).join(':')}::/64`;
}

function mappedIPv4(ip: string): string | undefined {
  if (!ip.startsWith('::') && !ip.startsWith('0')) return undefined;
  const groups = groupsOf(ip);
  if (!MAPPED_IPV4_PREFIX.every((group, index) => groups[index] === group)) return undefined;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** The eight groups of an IPv6 address. */
function groupsOf(ip: string): number[] {
  const [front = '', back] = expandEmbeddedIPv4(ip).split('::');
  const [head, tail] = [parseGroups(front), parseGroups(back ?? '')];
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return [...head, ...zeros, ...tail];
}

const parseGroups = (groups: string): number[] => (groups === '' ? [] : groups.split(':').map((group) => Number.parseInt(group, 16)));

/** The last two groups may be written as IPv4. */
function expandEmbeddedIPv4(ip: string): string {
  if (!ip.includes('.')) return ip;
  const at = ip.lastIndexOf(':') + 1;
  const [a = 0, b = 0, c = 0, d = 0] = ip.slice(at).split('.').map(Number);
  return `${ip.slice(0, at)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
