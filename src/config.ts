/** All settings of the daemon, from one YAML file. A fault names its line of the file and what would be right. */
import { LineCounter, isNode, parseDocument } from 'yaml';
import { z } from 'zod';
import { RemudaError } from './errors.ts';
import { limits } from './limits.ts';
import type { Limits } from './limits.ts';
import { subnetsSchema } from './subnets.ts';
import { parseIpv4 } from './wire/address.ts';

const parsed = <T>(parse: (text: string) => T | undefined, what: string) =>
  z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not ${what}` });
    return z.NEVER;
  });
const ipv4 = parsed(parseIpv4, 'an IPv4 address');
const port = z.number().int().min(1).max(65_535);
const macPattern = z.string().regex(/^([0-9a-fA-F]{2}:){0,5}([0-9a-fA-F]{2}|\*)$/, 'a MAC address, or the beginning of one followed by *');

/** Limits may be set in the file, under the names of limits.ts. */
const limitNames = Object.keys(limits);
const overrides = z.record(z.string(), z.number().int().nonnegative()).superRefine((given, context) => {
  for (const name of Object.keys(given))
    if (!limitNames.includes(name)) context.addIssue({ code: 'custom', path: [name], message: `there is no limit ${name}` });
});

export const configSchema = z.strictObject({
  /** Database, images. */
  data: z.string().startsWith('/').default('/var/lib/remuda'),
  /** A file with the key that seals the secrets in the database (64 hex digits); without it `key` in the data folder, made at the first start. */
  keyFile: z.string().startsWith('/').exactOptional(),
  /** Earlier keys: what they sealed is opened and sealed anew at the start. */
  oldKeyFiles: z.array(z.string().startsWith('/')).max(8).default([]),
  /** The API's Unix socket. */
  socket: z.string().startsWith('/').default('/run/remuda/remuda.sock'),
  /** The API on loopback as well; off when absent. */
  admin: z
    .strictObject({ address: ipv4.refine((address) => address.startsWith('127.'), 'the API without tokens is for loopback only'), port })
    .optional(),
  boot: z.strictObject({
    /** Folder with vmlinuz, initrd.zst and ramdisk.json. */
    agent: z.string().startsWith('/'),
    /** Folder with undionly.kpxe and snponly.efi. */
    firmware: z.string().startsWith('/'),
    httpPort: port.default(7480),
    agentPort: port.default(7443),
    kernelArguments: z
      .string()
      .max(512)
      .regex(/^[\w.,:=/ -]*$/, 'letters, digits and . , : = / - _ only')
      .default(''),
  }),
  subnets: subnetsSchema,
  /** Which discovered machines are accepted without asking. */
  accept: z.strictObject({ macs: z.array(macPattern).default([]) }).default({ macs: [] }),
  limits: overrides.default({}),
  log: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type Config = z.output<typeof configSchema>;

export const limitsOf = (config: Config): Limits => ({ ...limits, ...config.limits });

/** Does the operator's rule accept this MAC? `52:54:00:*` accepts all that begin so. */
export const acceptsMac = (patterns: readonly string[], given: string): boolean =>
  patterns.some((pattern) =>
    pattern.endsWith('*') ? given.startsWith(pattern.slice(0, -1).toLowerCase()) : given === pattern.toLowerCase(),
  );

const asNumber = (step: PropertyKey): PropertyKey => (typeof step === 'string' && /^\d+$/.test(step) ? Number(step) : step);

/** Reads the text of a configuration file; `bad-config` names file and line of each fault. */
export const parseConfig = (text: string, file: string): Config => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const fault = document.errors[0];
  if (fault !== undefined)
    throw new RemudaError('bad-config', `${file}:${fault.linePos?.[0].line ?? 1}: ${fault.message.split('\n')[0] ?? ''}`);
  const result = configSchema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;
  const said = result.error.issues.map((issue) => {
    // The nearest enclosing node that stands in the file.
    for (let length = issue.path.length; length >= 0; length--) {
      const at = issue.path.slice(0, length);
      // A key of digits is a number in YAML, and a text in what was checked.
      const node = document.getIn(at, true) ?? document.getIn(at.map(asNumber), true);
      if (isNode(node) && node.range) return `${file}:${lines.linePos(node.range[0]).line}: ${issue.path.join('.')}: ${issue.message}`;
    }
    return `${file}: ${issue.path.join('.')}: ${issue.message}`;
  });
  throw new RemudaError('bad-config', said.join('\n'));
};
