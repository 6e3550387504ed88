/** All settings of the daemon, from one YAML file. A fault names its line of the file and what would be right. */
import { LineCounter, isMap, isNode, isScalar, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { z } from 'zod';
import { apiSchema, isLoopback } from './api.ts';
import type { ApiListener } from './api.ts';
import { RemudaError } from '../errors.ts';
import { imagesSchema } from './images.ts';
import { kubernetesSchema } from './kubernetes.ts';
import { limits } from '../limits.ts';
import type { Limits } from '../limits.ts';
import { ipv4 } from './parsed.ts';
import { subnetsSchema } from './subnets.ts';

const port = z.number().int().min(1).max(65_535);
const macPattern = z.string().regex(/^([0-9a-fA-F]{2}:){0,5}([0-9a-fA-F]{2}|\*)$/, 'a MAC address, or the beginning of one followed by *');

/** Limits may be set in the file, under the names of limits.ts. */
const limitNames = Object.keys(limits);
/** Part of a schema or of the HTTP server itself: a value in the file would change nothing, and who writes one should know. */
const fixedLimits: readonly string[] = [
  'dhcpLeaseSeconds',
  'httpBodyBytes',
  'httpHeaderTimeoutMs',
  'httpRequestTimeoutMs',
  'httpConnectionsMax',
  'timelineAnswerMax',
  'timelineWaitMs',
  'apiPageMax',
  'enrolmentBytes',
  'enrolmentHostsMax',
  'claimWaitSecondsMax',
  'provisionTimeoutSecondsMax',
  'reserveSecondsMax',
] satisfies readonly (keyof Limits)[];
const overrides = z.record(z.string(), z.number().int().nonnegative()).superRefine((given, context) => {
  for (const name of Object.keys(given))
    if (!limitNames.includes(name)) context.addIssue({ code: 'custom', path: [name], message: `there is no limit ${name}` });
    else if (fixedLimits.includes(name))
      context.addIssue({
        code: 'custom',
        path: [name],
        message: name === 'dhcpLeaseSeconds' ? 'say it for each subnet: subnets[].leaseSeconds' : 'this limit is fixed',
      });
});

/** The daemon does not run in the folder of whoever wrote the file. */
const absolutePath = z.string().startsWith('/', 'must be an absolute path: one that begins with /');

export const configSchema = z.strictObject({
  /** Database, images. */
  data: absolutePath.default('/var/lib/remuda'),
  /** A file with the key that seals the secrets in the database (64 hex digits); without it `key` in the data folder, made at the first start. */
  keyFile: absolutePath.exactOptional(),
  /** Earlier keys: what they sealed is opened and sealed anew at the start. */
  oldKeyFiles: z.array(absolutePath).max(8).default([]),
  /** The API's Unix socket. */
  socket: absolutePath.default('/run/remuda/remuda.sock'),
  /** The API on loopback as well, with a token; `api.listen` says the same and more. */
  admin: z
    .strictObject({ address: ipv4.refine(isLoopback, 'this is for loopback only: other addresses stand in api.listen'), port })
    .optional(),
  /** The API on TCP. */
  api: apiSchema,
  boot: z.strictObject({
    /** Folder with vmlinuz, initrd.zst and ramdisk.json. */
    agent: absolutePath,
    /** Folder with undionly.kpxe and snponly.efi. */
    firmware: absolutePath,
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
  images: imagesSchema.prefault({}),
  /** The Cluster API provider in this daemon; left out: none, or `remuda controller` elsewhere. */
  kubernetes: kubernetesSchema.exactOptional(),
  limits: overrides.default({}),
  log: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type Config = z.output<typeof configSchema>;

/** Where the API listens on TCP. */
export const apiListeners = ({ admin, api }: Config): readonly ApiListener[] => [
  ...(admin === undefined ? [] : [{ ...admin, tls: 'none' as const }]),
  ...api.listen,
];

export const limitsOf = (config: Config): Limits => ({ ...limits, ...config.limits });

/** Does the operator's rule accept this MAC? `52:54:00:*` accepts all that begin so. */
export const acceptsMac = (patterns: readonly string[], given: string): boolean =>
  patterns.some((pattern) =>
    pattern.endsWith('*') ? given.startsWith(pattern.slice(0, -1).toLowerCase()) : given === pattern.toLowerCase(),
  );

const asNumber = (step: PropertyKey): PropertyKey => (typeof step === 'string' && /^\d+$/.test(step) ? Number(step) : step);

/** What is wrong with a configuration file, where. */
export interface ConfigFault {
  /** From 1; the nearest line that says anything about it. */
  readonly line: number;
  /** `subnets.0.pool` */
  readonly path: string;
  readonly message: string;
}
export type JudgedConfig = { readonly config: Config } | { readonly faults: readonly ConfigFault[] };

const plainKey = (text: string): string => text.toLowerCase().replaceAll(/[-_]/g, '');
/** At most one letter more, less or other. */
const isNear = (one: string, other: string): boolean => {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  let same = 0;
  while (same < short.length && short[same] === long[same]) same += 1;
  return long.length - short.length <= 1 && (short.slice(same + 1) === long.slice(same + 1) || short.slice(same) === long.slice(same + 1));
};
/** A key that might have been meant. */
const meant = (key: string, known: readonly string[]): string | undefined => known.find((name) => isNear(plainKey(name), plainKey(key)));
const keysAt = (path: readonly PropertyKey[]): readonly string[] => {
  // The schema as JSON has the keys of each place, also behind transformations.
  let at: JsonSchema | undefined = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  for (const step of path) at = typeof step === 'number' ? at?.items : at?.properties?.[String(step)];
  return Object.keys(at?.properties ?? {});
};
interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

type Where = (path: readonly PropertyKey[], key?: string) => number;
const whereIn =
  (document: Document, lines: LineCounter): Where =>
  (path, key) => {
    const parent = document.getIn(path, true);
    const pair =
      key === undefined || !isMap(parent) ? undefined : parent.items.find((item) => isScalar(item.key) && item.key.value === key);
    if (pair !== undefined && isScalar(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line;
    // The nearest enclosing node that stands in the file.
    for (let length = path.length; length >= 0; length--) {
      const at = path.slice(0, length);
      // A key of digits is a number in YAML, and a text in what was checked.
      const node = document.getIn(at, true) ?? document.getIn(at.map(asNumber), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  };
const faultsOf = (issue: z.core.$ZodIssue, where: Where): readonly ConfigFault[] => {
  const { path } = issue;
  if (issue.code !== 'unrecognized_keys') {
    const message = issue.message.endsWith(' received undefined') ? 'is missing' : issue.message;
    return [{ line: where(path), path: path.join('.'), message }];
  }
  return issue.keys.map((key) => {
    const guess = meant(key, keysAt(path));
    const message =
      guess === undefined
        ? `there is no such setting; here may stand ${keysAt(path).join(', ')}`
        : `there is no such setting; is ${guess} meant?`;
    return { line: where(path, key), path: [...path, key].join('.'), message };
  });
};

/** Reads the text of a configuration file: the settings, or everything that is wrong with it, in the order of its lines. */
export const judgeConfig = (text: string): JudgedConfig => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0)
    return {
      faults: document.errors.map(({ linePos, message }) => ({
        line: linePos?.[0].line ?? 1,
        path: '',
        message: message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? '',
      })),
    };
  const result = configSchema.safeParse(document.toJS() ?? {});
  if (result.success) return { config: result.data };
  const where = whereIn(document, lines);
  return { faults: result.error.issues.flatMap((issue) => faultsOf(issue, where)).toSorted((one, other) => one.line - other.line) };
};
/** `remuda.yaml:7: subnets.0.pool: the pool ends before it begins` */
export const faultText = (file: string, { line, path, message }: ConfigFault): string =>
  `${file}:${line}: ${path === '' ? '' : `${path}: `}${message}`;

/** Reads the text of a configuration file; `bad-config` names file and line of each fault. */
export const parseConfig = (text: string, file: string): Config => {
  const judged = judgeConfig(text);
  if ('config' in judged) return judged.config;
  throw new RemudaError('bad-config', judged.faults.map((fault) => faultText(file, fault)).join('\n'), {
    values: { faults: judged.faults },
    next: `mend the configuration file; to see whether all is right: remuda config check ${file}`,
  });
};
