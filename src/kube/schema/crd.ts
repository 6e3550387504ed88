/** One kind of ours as a CustomResourceDefinition (apiextensions.k8s.io/v1), with all that Cluster API and clusterctl want of it. */
import type { z } from 'zod';
import type { Kind } from '../objects.ts';
import { ruled } from './rules.ts';
import type { Rule } from './rules.ts';
import { structural } from './structural.ts';
import type { Structural } from './structural.ts';

/** A column of `kubectl get`; `wide`: only with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly description: string;
  readonly type?: 'string' | 'integer' | 'date' | 'boolean';
  readonly wide?: boolean;
}
/** What one kind of ours is. */
export interface Definition {
  readonly kind: Kind;
  readonly description: string;
  /** For people at a keyboard; none that another provider uses. */
  readonly shortNames: readonly string[];
  /** Absent where there is nothing to be wished. */
  readonly spec?: z.ZodType;
  /** With a status subresource of its own. */
  readonly status?: z.ZodType;
  readonly columns: readonly Column[];
  /** Of the whole object. */
  readonly rules?: readonly Rule[];
  /** Nothing owns its objects, so that `clusterctl move` would leave them behind. */
  readonly isMovedAlone?: true;
  /** Which contracts of Cluster API its version fulfils. */
  readonly contracts: readonly ('v1beta1' | 'v1beta2')[];
}
/** By which clusterctl knows what belongs to this provider. */
export const providerLabels = { 'cluster.x-k8s.io/provider': 'infrastructure-remuda' } as const;

/** `clusterctl move` looks at CRDs with this label alone. `clusterctl init` sets it; who applies the files by hand has it so as well. */
const clusterctlLabel = { 'clusterctl.cluster.x-k8s.io': '' } as const;
/** `clusterctl move` takes objects of a CRD with it, whether something owns them or not. */
const moveLabel = { 'clusterctl.cluster.x-k8s.io/move': '' } as const;

export interface Crd {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly names: Readonly<Record<string, unknown>>;
    readonly versions: readonly [
      {
        readonly name: string;
        readonly served: true;
        readonly storage: true;
        readonly additionalPrinterColumns: readonly unknown[];
        readonly subresources?: { readonly status: Readonly<Record<string, never>> };
        readonly schema: { readonly openAPIV3Schema: Structural };
      },
    ];
  };
}

/** Where nothing in it must be said it may be left out, and its defaults still come. */
const specPart = (schema: z.ZodType, path: string): { readonly spec: Structural; readonly mustBeSaid: boolean } => {
  const part = structural(schema, path);
  const mustBeSaid = (part.required ?? []).length > 0;
  return { spec: { ...part, description: 'What is wished.', ...(mustBeSaid ? {} : { default: {} }) }, mustBeSaid };
};
const schemaOf = ({ kind, description, spec, status, rules }: Definition): Structural => {
  const wish = spec === undefined ? undefined : specPart(spec, `${kind.kind}.spec`);
  return {
    type: 'object',
    description,
    ...(wish?.mustBeSaid === true ? { required: ['spec'] } : {}),
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
      kind: { type: 'string', description: 'What the object is.' },
      metadata: { type: 'object' },
      ...(wish === undefined ? {} : { spec: wish.spec }),
      ...(status === undefined ? {} : { status: { ...structural(status, `${kind.kind}.status`), description: 'What is so.' } }),
    },
    ...(rules === undefined ? {} : ruled(...rules)),
  };
};
const printed = ({ name, jsonPath, description, type = 'string', wide = false }: Column): unknown => ({
  name,
  type,
  jsonPath,
  description,
  ...(wide ? { priority: 1 } : {}),
});

/**
 * Core finds a kind of ours by its name alone (plural, group) and its version by these labels: `cluster.x-k8s.io/<contract>: <our version>`
 * (Cluster API, "Contract versions"). Kinds that core never refers to say so to clusterctl, which else checks their names.
 */
export const crdOf = (definition: Definition): Crd => {
  const { kind, shortNames, status, contracts, isMovedAlone } = definition;
  const isOfContract = contracts.length > 0;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${kind.plural}.${kind.group}`,
      labels: {
        ...providerLabels,
        ...clusterctlLabel,
        ...(isMovedAlone === true ? moveLabel : {}),
        ...Object.fromEntries(contracts.map((contract) => [`cluster.x-k8s.io/${contract}`, kind.version])),
      },
      ...(isOfContract ? {} : { annotations: { 'clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check': '' } }),
    },
    spec: {
      group: kind.group,
      scope: kind.namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        shortNames,
        categories: ['cluster-api'],
      },
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          additionalPrinterColumns: definition.columns.map(printed),
          ...(status === undefined ? {} : { subresources: { status: {} } }),
          schema: { openAPIV3Schema: schemaOf(definition) },
        },
      ],
    },
  };
};
