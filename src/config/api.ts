/** The `api` section of the configuration: where the API listens beside its Unix socket, and what guards it there. */
import { z } from 'zod';
import { parseIpv4 } from '../wire/address.ts';
import type { Ipv4 } from '../wire/address.ts';

const address = z.string().transform((text, context): Ipv4 => {
  const value = parseIpv4(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not an IPv4 address` });
  return z.NEVER;
});
const path = z.string().startsWith('/', 'an absolute path');
export const isLoopback = (one: Ipv4): boolean => one.startsWith('127.');

const listener = z
  .strictObject({
    address,
    port: z.number().int().min(1).max(65_535),
    /** `none` is for loopback alone, and there the default; elsewhere the default is `self-signed`, whose fingerprint the log and the status tell. */
    tls: z
      .union([z.enum(['none', 'self-signed']), z.strictObject({ certificate: path, key: path })], {
        error: 'none, self-signed, or { certificate: /path.pem, key: /path.pem }',
      })
      .exactOptional(),
  })
  .transform((given) => ({ ...given, tls: given.tls ?? (isLoopback(given.address) ? ('none' as const) : ('self-signed' as const)) }))
  .superRefine(({ address: at, tls }, context) => {
    if (tls === 'none' && !isLoopback(at))
      context.addIssue({
        code: 'custom',
        path: ['tls'],
        message: `without TLS tokens would cross the network in clear on ${at}: use self-signed, or a certificate and its key`,
      });
  });
export type ApiListener = z.output<typeof listener>;

export const apiSchema = z
  .strictObject({
    /** Every listener here asks for a token, loopback too; the Unix socket does not. */
    listen: z.array(listener).max(8).default([]),
    /** Names with dots by which people call this daemon; by address, or by a name without a dot, it answers always. */
    names: z.array(z.string().max(253).toLowerCase()).max(16).default([]),
    /** /metrics without a token. /healthz and /readyz never need one. */
    publicMetrics: z.boolean().default(false),
  })
  .default({ listen: [], names: [], publicMetrics: false });
