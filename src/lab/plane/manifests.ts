/** Cluster API's own manifests for managers that run as processes: their webhooks are called by URL, and nothing is deployed. */
import { parseAllDocuments } from 'yaml';
import type { PlaneObject } from './door.ts';
import { field, textField } from './door.ts';

/** What only a cluster with nodes and cert-manager has a use for. */
const dropped = ['Deployment', 'Service', 'Certificate', 'Issuer'];

export interface Webhooks {
  readonly port: number;
  /** PEM, by which the API server believes them. */
  readonly ca: string;
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const byUrl = (clientConfig: unknown, { port, ca }: Webhooks): Fields => ({
  url: `https://127.0.0.1:${port}${textField(clientConfig, 'service', 'path') ?? '/'}`,
  caBundle: Buffer.from(ca).toString('base64'),
});

const withWebhooks = (object: Fields, webhooks: Webhooks): Fields => {
  const hooks = object['webhooks'];
  const spec = object['spec'];
  const conversion = field(spec, 'conversion');
  return {
    ...object,
    ...(Array.isArray(hooks)
      ? { webhooks: hooks.map((hook: Fields) => ({ ...hook, clientConfig: byUrl(hook['clientConfig'], webhooks) })) }
      : {}),
    ...(isFields(spec) && isFields(conversion) && isFields(conversion['webhook'])
      ? {
          spec: {
            ...spec,
            conversion: {
              ...conversion,
              webhook: { ...conversion['webhook'], clientConfig: byUrl(conversion['webhook']['clientConfig'], webhooks) },
            },
          },
        }
      : {}),
  };
};

/** Without cert-manager nobody fills this in later, over what stands there. */
const withoutInjection = (object: PlaneObject): PlaneObject => {
  const { 'cert-manager.io/inject-ca-from': injected, ...annotations } = object.metadata.annotations ?? {};
  return injected === undefined ? object : { ...object, metadata: { ...object.metadata, annotations } };
};

/** The objects of a YAML stream, as they stand. */
export const objectsOf = (yaml: string): readonly PlaneObject[] =>
  parseAllDocuments(yaml)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the API server is the judge of what they are
    .map((document) => document.toJS() as PlaneObject | null)
    .filter((object) => object !== null);

/** The objects of a provider's components that a plane applies. */
export const planeObjects = (yaml: string, webhooks: Webhooks): readonly PlaneObject[] =>
  objectsOf(yaml)
    .filter(({ kind }) => !dropped.includes(kind))
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only fields within were changed
    .map((object) => withWebhooks(withoutInjection(object), webhooks) as PlaneObject);
