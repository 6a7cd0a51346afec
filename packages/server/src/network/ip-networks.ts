/** A set of IP networks, as an operator writes them: `10.0.0.0/8`, `2001:db8::/32`, or one address. */
import { BlockList, isIP } from 'node:net';

const ADDRESS_BITS = { 4: 32, 6: 128 };

/** A set of networks. */
export class Networks {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** Each text must be valid by `isNetwork`. */
  constructor(texts: readonly string[]) {
    this.#isEmpty = texts.length === 0;
    for (const text of texts) {
      const [address, bits] = parseNetwork(text);
      this.#list.addSubnet(address, bits, familyOf(address));
    }
  }

  /** Whether the address is in one of the networks. False for a text that is not an address. */
  has(ip: string): boolean {
    return !this.#isEmpty && isIP(ip) !== 0 && this.#list.check(ip, familyOf(ip));
  }
}

export function isNetwork(text: string): boolean {
  const [address, bits] = parseNetwork(text);
  const version = isIP(address);
  return (version === 4 || version === 6) && /^[^/%]+(\/\d{1,3})?$/.test(text) && bits <= ADDRESS_BITS[version];
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

function parseNetwork(text: string): [address: string, bits: number] {
  const [address = '', bits] = text.split('/');
  return [address, bits === undefined ? ADDRESS_BITS[isIP(address) === 4 ? 4 : 6] : Number(bits)];
}
