/** A zod schema as the structural OpenAPI schema that an API server takes, or a refusal that names the place. */
import { z } from 'zod';
import { RemudaError } from '../../errors.ts';

/** The part of OpenAPI v3.0 that a CustomResourceDefinition may have (apiextensions.k8s.io/v1, JSONSchemaProps). */
export interface Structural {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  description?: string;
  format?: string;
  pattern?: string;
  enum?: readonly unknown[];
  default?: unknown;
  nullable?: boolean;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  maxProperties?: number;
  properties?: Record<string, Structural>;
  required?: readonly string[];
  items?: Structural;
  additionalProperties?: Structural;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: readonly string[];
  'x-kubernetes-validations'?: readonly unknown[];
}
const allowed: readonly string[] = [
  'type',
  'description',
  'format',
  'pattern',
  'enum',
  'default',
  'nullable',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'properties',
  'required',
  'items',
  'additionalProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] satisfies readonly (keyof Structural)[];
const int32Most = 2_147_483_647;

const refuse = (path: string, why: string): never => {
  throw new RemudaError('bad-config', `${path}: ${why}; an API server refuses it as not structural`);
};
/** Checks one node and everything below it; gives it in a fixed order of fields. */
const checked = (node: unknown, path: string): Structural => {
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return refuse(path, 'no schema stands here');
  const found = node as Record<string, unknown>;
  for (const key of Object.keys(found))
    if (!allowed.includes(key) && found[key] !== undefined)
      refuse(path, `"${key}" has no place in a CustomResourceDefinition (unions, unknowns and strict objects do not work)`);
  if (typeof found['type'] !== 'string') refuse(path, 'it has no type');
  const ordered = Object.fromEntries(allowed.filter((key) => found[key] !== undefined).map((key) => [key, found[key]])) as Structural;
  const { properties, items, additionalProperties } = ordered;
  if (properties !== undefined)
    ordered.properties = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, checked(inner, `${path}.${name}`)]));
  if (items !== undefined) ordered.items = checked(items, `${path}[]`);
  if (additionalProperties !== undefined) ordered.additionalProperties = checked(additionalProperties, `${path}{}`);
  return bounded(ordered, path);
};
/** Without an upper bound on lists and maps the API server cannot tell what a CEL rule below them may cost. */
const bounded = (node: Structural, path: string): Structural => {
  if (node.type === 'array' && (node.maxItems === undefined || node.items === undefined)) refuse(path, 'a list needs maxItems');
  if (node.additionalProperties !== undefined && node.maxProperties === undefined) refuse(path, 'a map needs maxProperties');
  const keys = node['x-kubernetes-list-map-keys'];
  if (keys !== undefined && !keys.every((key) => node.items?.required?.includes(key) === true))
    refuse(path, `each of the list-map keys ${keys.join(', ')} must be required`);
  return node;
};
/** zod says what JavaScript can hold, and a pattern of 400 characters for a date; the API server knows both by their format. */
const asKubernetes = ({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void => {
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.type !== 'integer') return;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.format === undefined && (jsonSchema.maximum ?? Infinity) <= int32Most) jsonSchema.format = 'int32';
  if (jsonSchema.maximum === int32Most && jsonSchema.format === 'int32') delete jsonSchema.maximum;
  if (jsonSchema.minimum === -int32Most - 1 && jsonSchema.format === 'int32') delete jsonSchema.minimum;
};

/** What users may write, so defaults make a field optional. Throws `bad-config` for what has no structural form. */
export const structural = (schema: z.ZodType, path: string): Structural =>
  checked(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline', override: asKubernetes }), path);
