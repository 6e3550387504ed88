/** IPv4 and IPv6 addresses as bytes, and networks of them: for questions that are the same for both. */

/** A prefix and how many of its bits count. */
export interface Network {
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly bits: number;
}

const ipv4Bytes = (text: string): Uint8Array | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return Uint8Array.from(parts, Number);
};
/** Groups of four hex digits; the last two may be an IPv4 address. */
const groupBytes = (text: string): number[] | undefined => {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    const last = index === groups.length - 1 ? ipv4Bytes(group) : undefined;
    if (last !== undefined) bytes.push(...last);
    else if (/^[0-9a-fA-F]{1,4}$/.test(group)) bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff);
    else return undefined;
  }
  return bytes;
};
/** RFC 4291 §2.2. */
const ipv6Bytes = (text: string): Uint8Array | undefined => {
  const [head = '', tail, more] = text.split('::');
  const before = groupBytes(head);
  const after = tail === undefined ? [] : groupBytes(tail);
  if (before === undefined || after === undefined || more !== undefined) return undefined;
  const missing = 16 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...before, ...Array.from({ length: missing }, () => 0), ...after]);
};

/** 4 or 16 bytes; undefined where the text is no address. A zone (`fe80::1%eth0`, RFC 4007 §11) does not count. */
export const addressBytes = (text: string): Uint8Array | undefined =>
  text.includes(':') ? ipv6Bytes(text.replace(/%.*$/, '')) : ipv4Bytes(text);

/** `10.0.0.0/8`, `fd00::/8`, or one address; undefined where the text is none, or has bits set behind its prefix. */
export const parseNetwork = (text: string): Network | undefined => {
  const [address = '', prefix, more] = text.split('/');
  const bytes = addressBytes(address);
  if (bytes === undefined || more !== undefined) return undefined;
  if (prefix === undefined) return { bytes, bits: bytes.length * 8 };
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bytes.length * 8) return undefined;
  const network = { bytes, bits: Number(prefix) };
  return bytes.every((byte, index) => (byte & ~maskAt(network.bits, index)) === 0) ? network : undefined;
};
const maskAt = (bits: number, index: number): number => {
  const here = Math.max(0, Math.min(8, bits - index * 8));
  return (0xff << (8 - here)) & 0xff;
};

export const inNetwork = ({ bytes, bits }: Network, address: Uint8Array): boolean =>
  address.length === bytes.length && bytes.every((byte, index) => ((address[index] ?? 0) & maskAt(bits, index)) === byte);
/** Is the address in one of them? */
export const inAny = (list: readonly Network[], address: Uint8Array): boolean => list.some((network) => inNetwork(network, address));

/** Networks that are written here; a mistake in one ends the program. */
export const networks = (...texts: readonly string[]): readonly Network[] =>
  texts.map((text) => {
    const network = parseNetwork(text);
    if (network === undefined) throw new TypeError(`${text} is no network`);
    return network;
  });

/** What a network is, in words, and its addresses. */
export type Special = readonly [what: string, networks: readonly Network[]];
/** Where the daemon never calls, whoever names it: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890). */
export const neverCalled: readonly Special[] = [
  ['a link-local address, where metadata services are', networks('169.254.0.0/16', 'fe80::/10')],
  // Oracle, Alibaba, Azure and AWS keep theirs outside of link-local.
  [
    'the address of a metadata service',
    networks('192.0.0.192/32', '100.100.100.200/32', '168.63.129.16/32', 'fd00:ec2::/32', 'fd20:ce::254/128'),
  ],
  ['a multicast address', networks('224.0.0.0/4', 'ff00::/8')],
];
