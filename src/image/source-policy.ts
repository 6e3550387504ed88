/** From where an image may be fetched: which URLs, and which of the addresses that a name may turn out to be. */
import { RemudaError } from '../errors.ts';
import { addressBytes, inAny, networks, neverCalled, parseNetwork } from '../wire/ip-network.ts';
import type { Network, Special } from '../wire/ip-network.ts';

export interface SourcePolicy {
  /** Why this address of this host is not connected to; undefined where it may be. */
  readonly refuses: (host: string, address: string) => string | undefined;
  /** Whether `https:` needs neither a hash nor a signature. */
  readonly allowUnpinned: boolean;
}

/**
 * Never an image server, whatever the configuration says: this machine itself, what a cloud or a BMC shows to whoever can make it ask
 * (metadata services), and what no host can have. IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890).
 */
const never: readonly Special[] = [
  ['this machine itself', networks('0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128')],
  ...neverCalled,
  [
    'no address of a host',
    networks(
      '240.0.0.0/4',
      '192.0.0.0/24',
      '192.0.2.0/24',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '100::/64',
      '2001::/23',
      '2001:db8::/32',
      '3fff::/20',
    ),
  ],
];
/** RFC 1918, RFC 6598 (carrier NAT), RFC 2544 (benchmarks), RFC 4193, and RFC 3879's site-local addresses. */
const inside = networks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', 'fc00::/7', 'fec0::/10');

/** IPv6 addresses that carry an IPv4 one, which a gateway or the kernel would connect to: at which byte it stands. */
const carriers: readonly (readonly [networks: readonly Network[], at: number])[] = [
  [networks('::ffff:0:0/96', '::/96', '64:ff9b::/96'), 12],
  [networks('2002::/16'), 2],
];
/** RFC 8215: where the IPv4 address stands in these is known to the gateway alone. */
const opaque = networks('64:ff9b:1::/48');

/** The IPv4 address inside of an IPv6 one, or the address itself. */
const innermost = (bytes: Uint8Array): Uint8Array => {
  const at = carriers.find(([list]) => inAny(list, bytes))?.[1];
  const isOwn =
    bytes.length === 4 ||
    (bytes.subarray(0, 12).every((byte) => byte === 0) && (bytes[15] ?? 0) <= 1 && bytes.subarray(12, 15).every((byte) => byte === 0));
  return at === undefined || isOwn ? bytes : bytes.subarray(at, at + 4);
};

export interface SourceRules {
  /** Networks (`10.0.0.0/8`, `fd00::/8`) and host names whose private addresses may be fetched from. */
  readonly allowPrivate: readonly string[];
  readonly allowUnpinned: boolean;
}

/** The policy of a configuration; what is neither a network nor a host name was refused there. */
export const sourcePolicy = ({ allowPrivate, allowUnpinned }: SourceRules): SourcePolicy => {
  const allowedNetworks = allowPrivate.map(parseNetwork).filter((network) => network !== undefined);
  const allowedHosts = new Set(allowPrivate.filter((text) => parseNetwork(text) === undefined).map((text) => text.toLowerCase()));
  return {
    allowUnpinned,
    refuses: (host, address) => {
      const whole = addressBytes(address);
      if (whole === undefined) return `${address} is no address`;
      const bytes = innermost(whole);
      const within = (list: readonly Network[]): boolean => inAny(list, bytes);
      const forbidden = never.find(([, list]) => within(list))?.[0];
      if (forbidden !== undefined) return `${address} is ${forbidden}`;
      if (within(opaque)) return `${address} hides an IPv4 address`;
      if (!within(inside) || within(allowedNetworks) || allowedHosts.has(host.toLowerCase())) return undefined;
      return `${address} is a private address; to allow it, add it or its network or ${host} to images.sources.allowPrivate`;
    },
  };
};
/** Without a word of the operator: public addresses only, and each file pinned or signed. */
export const closedSources: SourcePolicy = sourcePolicy({ allowPrivate: [], allowUnpinned: false });

/** What may be asked for at all, before a name is looked up. Throws `source-refused`. */
export const checkUrl = (text: string): URL => {
  const url = URL.parse(text);
  if (url === null) throw new RemudaError('source-refused', `${text} is no URL`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RemudaError('source-refused', `${shown(url)}: images are fetched by http: and https: only, not by ${url.protocol}`);
  if (url.username !== '' || url.password !== '')
    throw new RemudaError(
      'source-refused',
      `${shown(url)}: a password in a URL would stand in logs; offer the file without one, its hash protects it`,
    );
  return url;
};
/** Without credentials, and without the query, which may be one. */
export const shown = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;
