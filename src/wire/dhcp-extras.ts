/** DHCP options that people set, checked: those with a name by their name, any other by number, none of those that we answer ourselves. */
import { z } from 'zod';
import { parseIpv4 } from './address.ts';
import type { Ipv4 } from './address.ts';

const ourOwn = 'is told by Remuda itself';
/** Options that may not be given by number, and why. */
const owned: ReadonlyMap<number, string> = new Map([
  [1, `the subnet mask, ${ourOwn}`],
  [3, 'the router: use `router`'],
  [6, 'the name servers: use `dns`'],
  [12, 'the host name: it comes from the host or its reservation'],
  [15, 'the domain: use `domain`'],
  [26, 'the MTU: use `mtu`'],
  [28, `the broadcast address, ${ourOwn}`],
  [42, 'the time servers: use `ntp`'],
  [43, `part of the boot answer, which ${ourOwn}`],
  [50, 'a word of clients'],
  [51, 'the lease time: use `leaseSeconds`'],
  [52, 'part of the packet’s form'],
  [53, 'the message type'],
  [54, `the server identifier, ${ourOwn}`],
  [55, 'a word of clients'],
  [56, `an error message, ${ourOwn}`],
  [57, 'a word of clients'],
  [58, `the renewal time, ${ourOwn}`],
  [59, `the rebinding time, ${ourOwn}`],
  [60, `part of the boot answer, which ${ourOwn}`],
  [61, 'the client identifier, a word of clients'],
  [66, `part of the boot answer, which ${ourOwn}`],
  [67, `part of the boot answer, which ${ourOwn}`],
  [77, 'the user class, a word of clients'],
  [81, 'the client’s own name, a word of clients'],
  [82, 'the relay’s information'],
  [90, 'the authentication of the packet'],
  [93, 'the client’s architecture'],
  [94, 'the client’s network interface'],
  [97, 'the client’s UUID'],
  [118, 'the subnet that a relay chooses'],
  [175, `part of the boot answer to iPXE, which ${ourOwn}`],
]);
/** Codes of pad and end (RFC 2132 §3.1, §3.2) lie outside. */
const codeOf = (text: string): number | undefined => {
  const code = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : 0;
  return code >= 1 && code <= 254 ? code : undefined;
};
/** Why this option may not be set by number; undefined where it may. */
export const whyNotRaw = (text: string): string | undefined => {
  const code = codeOf(text);
  if (code === undefined) return `${JSON.stringify(text)} is no option number: 1 to 254`;
  const why = owned.get(code);
  return why === undefined ? undefined : `option ${code} cannot be set by number: it is ${why}`;
};

/** More would leave no room for what a boot needs (RFC 2132 §9.10: a client may take no more than 576 bytes). */
const rawBytesMax = 255;
const inHex = 'the bytes of a DHCP option are written in hex, two digits each, in quotes';
const raw = z.record(z.string(), z.string(inHex).regex(/^([0-9a-fA-F]{2}){1,255}$/, inHex)).superRefine((options, context) => {
  for (const code of Object.keys(options)) {
    const message = whyNotRaw(code);
    if (message !== undefined) context.addIssue({ code: 'custom', path: [code], message });
  }
  const sizeBytes = Object.values(options).reduce((sum, hex) => sum + 2 + hex.length / 2, 0);
  if (sizeBytes > rawBytesMax)
    context.addIssue({ code: 'custom', message: `these options fill ${sizeBytes} bytes; a boot packet has room for ${rawBytesMax}` });
});
const ipv4 = z.string().transform((text, context): Ipv4 => {
  const value = parseIpv4(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not an IPv4 address` });
  return z.NEVER;
});

/** The fields of `DhcpExtras`, for schemas that hold them beside others. */
export const dhcpExtrasShape = {
  router: ipv4.exactOptional(),
  dns: z.array(ipv4).max(8).exactOptional(),
  domain: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i, 'a domain name')
    .exactOptional(),
  ntp: z.array(ipv4).max(8).exactOptional(),
  /** RFC 2132 §5.1 allows 68; below 576 nothing boots. */
  mtu: z.number().int().min(576).max(65_535).exactOptional(),
  raw: raw.exactOptional(),
};
/** `DhcpExtras` (wire/words.ts) as people write it. */
export const dhcpExtrasSchema = z.strictObject(dhcpExtrasShape);
