/** Our own objects on the plane of a run: the package as a user would apply it, with its variables filled in. */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { packageFiles } from '../../../src/kube/package/files.ts';
import type { variables } from '../../../src/kube/package/variables.ts';

export const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

/** The objects of a YAML text of several documents. */
export const objectsOf = (text: string): readonly PlaneObject[] =>
  parseAllDocuments(text).map((document) => (document as { toJS: () => unknown }).toJS() as PlaneObject);

/** One file of the package, each variable with its default or with what is said here. */
export const filled = (name: string, said: Readonly<Record<string, string>> = {}): readonly PlaneObject[] =>
  objectsOf(
    (packageFiles(version).get(name) ?? '').replaceAll(
      /\$\{([A-Z0-9_]+)(?::=([^}]*))?\}/g,
      (_whole, variable: keyof typeof variables, value?: string) => {
        const text = said[variable] ?? value;
        if (text === undefined) throw new Error(`${name} wants ${variable}`);
        return text;
      },
    ),
  );

/** What the provider puts into a management cluster but for its own pod, which no node would run: CRDs, rights, policies. */
export const providerObjects = (): readonly PlaneObject[] =>
  filled('infrastructure-components.yaml', {
    REMUDA_URL: 'https://192.0.2.1:7443',
    REMUDA_TOKEN: 'none',
    REMUDA_TRUST: `fingerprint=${'0'.repeat(64)}`,
  }).filter(({ kind }) => kind !== 'Deployment' && kind !== 'Secret');
