/** Kubernetes objects as one YAML file for clusterctl: what it is for and its variables on top, variables quoted where they stand for text. */
import { Document, isScalar, visit } from 'yaml';
import { explained, isPlainVariable, variablesOf } from './variables.ts';

/** An object as it is written down; its order of fields is kept. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [more: string]: unknown };
  readonly [more: string]: unknown;
}

/** A variable may turn out to be `1` or `true`: as text it is quoted, as a number it is not. */
const document = (manifest: object): string => {
  const doc = new Document(manifest, { aliasDuplicateObjects: false });
  visit(doc, {
    Scalar: (_key, node) => {
      if (!isScalar(node) || typeof node.value !== 'string' || !node.value.includes('${')) return;
      if (node.value.includes('\n')) node.type = 'BLOCK_LITERAL';
      else node.type = isPlainVariable(node.value) ? 'PLAIN' : 'QUOTE_DOUBLE';
    },
  });
  return doc.toString({ lineWidth: 0 });
};
const comment = (lines: readonly string[]): string => lines.map((line) => (line === '' ? '#\n' : `# ${line}\n`)).join('');

/** `about`: lines of a comment on top. */
export const fileText = (about: readonly string[], manifests: readonly object[], version: string): string => {
  const body = manifests.map(document).join('---\n');
  const { known } = variablesOf(body);
  const table = known.length === 0 ? [] : ['', 'Variables (default): meaning', ...known.map((name) => `  ${explained(name, version)}`)];
  return `${comment([...about, ...table])}${body}`;
};
