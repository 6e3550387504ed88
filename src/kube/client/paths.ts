/** Where objects live in the API: paths and queries. */
import { splitKey } from '../objects.ts';
import type { Key, Kind } from '../objects.ts';
import type { ListOptions } from '../api.ts';

type Query = Readonly<Record<string, string | undefined>>;
/** `?a=b`; what is undefined is left out. */
export const queryOf = (query: Query): string => {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`;
};
const collection = ({ group, version, plural, namespaced }: Kind, namespace: string | undefined): string => {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespaced && namespace !== undefined && namespace !== ''
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`;
};
export const listPath = (kind: Kind, options: ListOptions, more: Query = {}): string => {
  const { namespace, labelSelector, fieldSelector, resourceVersion } = options;
  return `${collection(kind, namespace)}${queryOf({ labelSelector, fieldSelector, resourceVersion, ...more })}`;
};
export const createPath = (kind: Kind, namespace: string | undefined, query: Query): string =>
  `${collection(kind, namespace)}${queryOf(query)}`;
export const objectPath = (kind: Kind, key: Key, subresource?: string, query: Query = {}): string => {
  const { namespace, name } = splitKey(key);
  const tail = subresource === undefined ? '' : `/${subresource}`;
  return `${collection(kind, namespace)}/${encodeURIComponent(name)}${tail}${queryOf(query)}`;
};
