/** Addresses as branded strings in one canonical form, so that equality is `===` and a MAC is never taken for an IP. */
declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };
/** `52:54:00:12:34:56`, lower case. */
export type Mac = Branded<string, 'Mac'>;
/** Dotted quad without leading zeros. */
export type Ipv4 = Branded<string, 'Ipv4'>;
/** `10.77.0.0/24`, host bits zero. */
export type Cidr4 = Branded<string, 'Cidr4'>;
/** Lower-case 8-4-4-4-12. */
export type Uuid = Branded<string, 'Uuid'>;

/** undefined where the text is no MAC; accepts `:` and `-` between bytes, either case. */
export const parseMac = (text: string): Mac | undefined => {
  const plain = text.toLowerCase().replaceAll('-', ':');
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(plain) ? (plain as Mac) : undefined;
};
export const parseIpv4 = (text: string): Ipv4 | undefined =>
  /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/.test(text) ? (text as Ipv4) : undefined;
export const parseUuid = (text: string): Uuid | undefined => {
  const plain = text.toLowerCase();
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(plain) ? (plain as Uuid) : undefined;
};
/** The address as an unsigned 32-bit number, for ranges. */
export const ipv4Number = (address: Ipv4): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
export const ipv4From = (number: number): Ipv4 => [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.') as Ipv4;
/** undefined where the text is no CIDR or has host bits set. */
export const parseCidr4 = (text: string): Cidr4 | undefined => {
  const [address = '', prefix = ''] = text.split('/');
  const ip = parseIpv4(address);
  if (ip === undefined || !/^([0-9]|[12][0-9]|3[0-2])$/.test(prefix)) return undefined;
  return ipv4From((ipv4Number(ip) & prefixMask(Number(prefix))) >>> 0) === ip ? (text as Cidr4) : undefined;
};
const prefixMask = (prefix: number): number => (prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0);
export const netmaskOf = (cidr: Cidr4): Ipv4 => ipv4From(prefixMask(Number(cidr.split('/')[1])));
export const broadcastOf = (cidr: Cidr4): Ipv4 => {
  const mask = prefixMask(Number(cidr.split('/')[1]));
  return ipv4From((ipv4Number(cidr.split('/')[0] as Ipv4) | (~mask >>> 0)) >>> 0);
};
export const inCidr = (cidr: Cidr4, address: Ipv4): boolean => {
  const mask = prefixMask(Number(cidr.split('/')[1]));
  return (ipv4Number(address) & mask) >>> 0 === ipv4Number(cidr.split('/')[0] as Ipv4);
};
/** `0.0.0.0`: "I have none" in DHCP (RFC 2131 §2). */
export const noAddress = '0.0.0.0' as Ipv4;
/** The limited broadcast address, RFC 919. */
export const everyone = '255.255.255.255' as Ipv4;
