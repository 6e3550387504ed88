/** Where a BMC can be: whoever may name its address must not make the daemon speak to itself, or to what a cloud shows to its own machines. */
import { addressBytes, inNetwork, parseNetwork } from './ip-network.ts';
import type { Network } from './ip-network.ts';

const networks = (...texts: readonly string[]): readonly Network[] =>
  texts.map((text) => {
    const network = parseNetwork(text);
    if (network === undefined) throw new TypeError(`${text} is no network`);
    return network;
  });

/** IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890); private networks (RFC 1918) are where BMCs are. */
const never: readonly (readonly [what: string, networks: readonly Network[]])[] = [
  ['no address of a machine', networks('0.0.0.0/8', '240.0.0.0/4', '::/128')],
  ['a link-local address, where metadata services are', networks('169.254.0.0/16', 'fe80::/10')],
  [
    'the address of a metadata service',
    networks('192.0.0.192/32', '100.100.100.200/32', '168.63.129.16/32', 'fd00:ec2::/32', 'fd20:ce::254/128'),
  ],
  ['a multicast address', networks('224.0.0.0/4', 'ff00::/8')],
];
const loopback = networks('127.0.0.0/8', '::1/128');
/** IPv6 addresses that stand for an IPv4 one (RFC 4291 §2.5.5, RFC 6052, RFC 3056): at which byte it stands. */
const carriers: readonly (readonly [networks: readonly Network[], at: number])[] = [
  [networks('::ffff:0:0/96', '64:ff9b::/96'), 12],
  [networks('2002::/16'), 2],
];

const within = (list: readonly Network[], bytes: Uint8Array): boolean => list.some((network) => inNetwork(network, bytes));
const innermost = (bytes: Uint8Array): Uint8Array => {
  const at = carriers.find(([list]) => within(list, bytes))?.[1];
  return at === undefined ? bytes : bytes.subarray(at, at + 4);
};
const plain = (host: string): string =>
  host
    .toLowerCase()
    .replaceAll(/^\[|\]$/g, '')
    .replace(/\.$/, '');

/** Is this, as it is written, the machine itself? What a name turns out to be is judged when it is looked up. */
export const isOwnPlace = (host: string): boolean => {
  const name = plain(host);
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const bytes = addressBytes(name);
  return bytes !== undefined && within(loopback, innermost(bytes));
};
/** Why no BMC is at this address; undefined where one may be, and for every name. */
export const noBmcAt = (host: string): string | undefined => {
  const bytes = addressBytes(plain(host));
  const what = bytes === undefined ? undefined : never.find(([, list]) => within(list, innermost(bytes)))?.[0];
  return what === undefined ? undefined : `${plain(host)} is ${what}: no BMC is asked there`;
};
/** The same for an address that a host of a URL turned out to have: this machine only where the URL says so itself (RFC 6761 §6.3). */
export const refusesBmc = (host: string, address: string): string | undefined =>
  isOwnPlace(address) && !isOwnPlace(host) ? `${plain(host)} is ${address}, this machine itself: no BMC is asked there` : noBmcAt(address);
