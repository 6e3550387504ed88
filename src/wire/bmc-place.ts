/** Where a BMC is, as people write it; and where it can be: whoever may name its address must not make the daemon speak to itself, or to what a cloud shows to its own machines. */
import { addressBytes, inAny, networks, neverCalled } from './ip-network.ts';
import type { Network, Special } from './ip-network.ts';

/** IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890); private networks (RFC 1918) are where BMCs are. */
const never: readonly Special[] = [['no address of a machine', networks('0.0.0.0/8', '240.0.0.0/4', '::/128')], ...neverCalled];
const loopback = networks('127.0.0.0/8', '::1/128');
/** IPv6 addresses that stand for an IPv4 one (RFC 4291 §2.5.5, RFC 6052, RFC 3056): at which byte it stands. */
const carriers: readonly (readonly [networks: readonly Network[], at: number])[] = [
  [networks('::ffff:0:0/96', '64:ff9b::/96'), 12],
  [networks('2002::/16'), 2],
];

/** A place as it was written. */
export interface BmcPlace {
  /** Which protocol is meant, `https` and `http` for Redfish; absent where it was not said. */
  readonly scheme?: 'https' | 'http' | 'ipmi';
  /** An address (IPv6 in brackets) or a name, in lower case. */
  readonly host: string;
  readonly port?: number;
}
/** RFC 3986 §3.2 without a user; a path, as it is copied from a browser, says nothing of the place. */
const written = /^(?:(https|http|ipmi):\/\/)?(\[[0-9a-f:.]+\]|[^\s/:@?#[\]]+)(?::(\d{1,5}))?(?:[/?#]\S*)?$/i;
/** `10.0.0.5`, `bmc1.example:8443`, `https://10.0.0.5`, `ipmi://10.0.0.6:623`; undefined for what names no place. */
export const readBmcPlace = (text: string): BmcPlace | undefined => {
  const [, scheme, host, port] = written.exec(text.trim()) ?? [];
  if (host === undefined || (port !== undefined && (Number(port) === 0 || Number(port) > 65_535))) return undefined;
  return {
    ...(scheme === undefined ? {} : { scheme: scheme.toLowerCase() as NonNullable<BmcPlace['scheme']> }),
    host: host.toLowerCase(),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
};

const innermost = (bytes: Uint8Array): Uint8Array => {
  const at = carriers.find(([list]) => inAny(list, bytes))?.[1];
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
  return bytes !== undefined && inAny(loopback, innermost(bytes));
};
/** Why no BMC is at this address; undefined where one may be, and for every name. */
export const noBmcAt = (host: string): string | undefined => {
  const bytes = addressBytes(plain(host));
  const what = bytes === undefined ? undefined : never.find(([, list]) => inAny(list, innermost(bytes)))?.[0];
  return what === undefined ? undefined : `${plain(host)} is ${what}: no BMC is asked there`;
};
/** The same for an address that a host of a URL turned out to have: this machine only where the URL says so itself (RFC 6761 §6.3). */
export const refusesBmc = (host: string, address: string): string | undefined =>
  isOwnPlace(address) && !isOwnPlace(host) ? `${plain(host)} is ${address}, this machine itself: no BMC is asked there` : noBmcAt(address);
