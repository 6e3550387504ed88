/** Files of the package with their variables filled in as clusterctl does it: what is said, else the default. */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { packageFiles } from '../../../src/kube/package/files.ts';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
export const files = packageFiles(version);

export interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [more: string]: unknown;
}
export const withDefaults = (name: string, said: Readonly<Record<string, string>> = {}): readonly Written[] => {
  const text = (files.get(name) ?? '').replaceAll(
    /\$\{([A-Z0-9_]+)(?::=([^}]*))?\}/g,
    (_whole, variable: string, value?: string) => said[variable] ?? value ?? 'given',
  );
  return parseAllDocuments(text).map((document) => (document as { toJS: () => unknown }).toJS() as Written);
};
