/** The description of the API in OpenAPI 3.1, made from the same rows that serve it. */
import { z } from 'zod';
import { codes } from '../errors.ts';
import type { AdminRoute, ReplyShape } from './route.ts';
import { eventJson } from './events.ts';
import { auditRowJson, newTokenJson, statusJson, tokenJson } from './access-types.ts';
import * as types from './types.ts';

type Json = Readonly<Record<string, unknown>>;
/** A schema with this name stands once, in components. */
const named: Readonly<Record<string, z.ZodType>> = {
  Host: types.hostJson,
  HostClaim: types.hostClaimJson,
  Bmc: types.bmcJson,
  Disk: types.diskJson,
  Claim: types.claimJson,
  DryRun: types.dryRunJson,
  TimelineRow: types.timelineRowJson,
  Timeline: types.timelineJson,
  Image: types.imageJson,
  ImageDetail: types.imageDetailJson,
  WorkLine: types.workLineJson,
  Lease: types.leaseJson,
  Probe: types.probeJson,
  Status: statusJson,
  Token: tokenJson,
  NewToken: newTokenJson,
  AuditRow: auditRowJson,
  Problem: types.problemJson,
  Event: eventJson,
};

const refOf = (name: string): string => `#/components/schemas/${name}`;
/** `$id` and `$schema` belong to documents of their own. */
const bare = (schema: Json): Json => Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$id' && key !== '$schema'));

/** JSON schemas of all these, by name; what is one of them stands in the others as a reference. */
const schemasOf = (wanted: ReadonlyMap<string, z.ZodType>, io: 'input' | 'output'): Json => {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of wanted) if (!registry.has(schema)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io, uri: refOf, unrepresentable: 'any', target: 'draft-2020-12' });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema as Json)]));
};

const titled = (id: string): string => id.charAt(0).toUpperCase() + id.slice(1);
const isSchema = (shape: ReplyShape): shape is z.ZodType => typeof shape === 'object' && 'safeParse' in shape;
const nameIn = (wanted: ReadonlyMap<string, z.ZodType>, schema: z.ZodType): string =>
  [...wanted].find(([, known]) => known === schema)?.[0] ?? '';

/** What is answered, by a name: its own, or that of its operation. */
const repliesOf = (table: readonly AdminRoute[]): ReadonlyMap<string, z.ZodType> => {
  const wanted = new Map(Object.entries(named));
  for (const { id, replies } of table)
    for (const [status, shape] of Object.entries(replies)) {
      const schema = isSchema(shape) ? shape : shape === 'nothing' ? undefined : shape.schema;
      if (schema !== undefined && nameIn(wanted, schema) === '')
        wanted.set(`${titled(id)}Reply${Object.keys(replies).length > 1 ? status : ''}`, schema);
    }
  return wanted;
};
const bodiesOf = (table: readonly AdminRoute[]): ReadonlyMap<string, z.ZodType> => {
  const wanted = new Map<string, z.ZodType>();
  for (const { id, body } of table) if (body !== undefined && nameIn(wanted, body) === '') wanted.set(`${titled(id)}Request`, body);
  return wanted;
};

const parametersOf = ({ path, query, method, role }: AdminRoute): readonly Json[] => {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
  const asked = query === undefined ? {} : (z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' }) as Json);
  const required = (asked['required'] ?? []) as readonly string[];
  const inQuery = Object.entries((asked['properties'] ?? {}) as Json).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  const conditions = role === 'anyone' ? [] : method === 'GET' ? ['IfNoneMatch'] : ['IfMatch'];
  return [...inPath, ...inQuery, ...conditions.map((name) => ({ $ref: `#/components/parameters/${name}` }))];
};

const replyOf = (shape: ReplyShape, names: ReadonlyMap<string, z.ZodType>): Json => {
  const headers = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
  if (shape === 'nothing') return { description: 'Done; there is nothing to tell', headers };
  const [media, schema, description] = isSchema(shape)
    ? ['application/json', shape, 'The answer']
    : [shape.media, shape.schema, shape.what];
  return {
    description,
    headers,
    content: { [media]: { schema: schema === undefined ? { type: 'string' } : { $ref: refOf(nameIn(names, schema)) } } },
  };
};

const operationOf = (row: AdminRoute, bodies: ReadonlyMap<string, z.ZodType>, names: ReadonlyMap<string, z.ZodType>): Json => ({
  operationId: row.id,
  summary: row.summary,
  description: row.role === 'anyone' ? 'Needs no token.' : `Needs the role \`${row.role}\`.`,
  tags: [row.tag],
  parameters: parametersOf(row),
  ...(row.body === undefined
    ? {}
    : { requestBody: { required: true, content: { 'application/json': { schema: { $ref: refOf(nameIn(bodies, row.body)) } } } } }),
  responses: {
    ...Object.fromEntries(Object.entries(row.replies).map(([status, shape]) => [status, replyOf(shape, names)])),
    ...(row.method === 'GET' && row.role !== 'anyone' ? { 304: { description: 'As If-None-Match says: nothing changed' } } : {}),
    default: { $ref: '#/components/responses/Problem' },
  },
  ...(row.role === 'anyone' ? { security: [] } : {}),
});

const problemExample = {
  type: 'urn:remuda:problem:host-not-found',
  title: 'Not Found',
  status: 404,
  code: 'host-not-found',
  detail: 'there is no host r9; `remuda host list` shows all',
  instance: 'urn:remuda:request:3q2-7wAB12Cd',
};
/** Every stable code with its status, as a table in Markdown. */
const codeTable = ['| code | status |', '|---|---|', ...Object.entries(codes).map(([code, status]) => `| \`${code}\` | ${status} |`)].join(
  '\n',
);

const componentsOf = (schemas: Json): Json => ({
  schemas,
  securitySchemes: {
    token: {
      type: 'http',
      scheme: 'bearer',
      description: 'A token `remuda_…` on TCP listeners. The Unix socket asks for none: who may open it is an admin.',
    },
  },
  parameters: {
    IfMatch: {
      name: 'If-Match',
      in: 'header',
      description: 'The ETag of the host as it was last read: the change is refused with `precondition-failed` where it is another one now',
      schema: { type: 'string' },
      example: '"12"',
    },
    IfNoneMatch: {
      name: 'If-None-Match',
      in: 'header',
      description: 'The ETag that is known already: 304 where it still holds',
      schema: { type: 'string' },
      example: '"12"',
    },
  },
  headers: { RequestId: { description: 'The same ID stands in the log, in the audit log and in problems', schema: { type: 'string' } } },
  responses: {
    Problem: {
      description: `A refusal (RFC 9457). Decide by \`code\`:\n\n${codeTable}`,
      headers: {
        'X-Request-Id': { $ref: '#/components/headers/RequestId' },
        'Retry-After': { description: 'Seconds, with `rate-limited`', schema: { type: 'integer' } },
        'WWW-Authenticate': { description: 'With `unauthenticated` and `forbidden` (RFC 6750)', schema: { type: 'string' } },
      },
      content: { 'application/problem+json': { schema: { $ref: refOf('Problem') }, example: problemExample } },
    },
  },
});

/** The whole document: every row of the table is in it. */
export const openApi = (table: readonly AdminRoute[], version: string): Json => {
  const names = repliesOf(table);
  const bodies = bodiesOf(table);
  const paths: Record<string, Record<string, Json>> = {};
  for (const row of table) {
    const path = row.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [row.method.toLowerCase()]: operationOf(row, bodies, names) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Remuda',
      version,
      description: 'Servers are changed, not patched: hosts, claims and images of one rack. Times are milliseconds since 1970.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: [...new Set(table.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: componentsOf({ ...schemasOf(bodies, 'input'), ...schemasOf(names, 'output') }),
  };
};
