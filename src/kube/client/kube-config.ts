/** Where a Kubernetes API server is and how it knows us: a kubeconfig, or the service account of the pod that we run in. */
import { KubeConfig } from '@kubernetes/client-node';
import type { DispatcherOptions } from '@kubernetes/client-node';
import { createHash } from 'node:crypto';
import { reasonOf, RemudaError } from '../../errors.ts';
import { foreignKubeConfig } from './foreign-kube-config.ts';

/** What says it. */
export type KubeSource =
  /** $KUBECONFIG, else ~/.kube/config, else the service account of this pod: as kubectl looks for it. */
  | { readonly is: 'usual'; readonly context?: string }
  | { readonly is: 'file'; readonly path: string; readonly context?: string }
  /** The service account of this pod. */
  | { readonly is: 'pod' }
  /** A kubeconfig that somebody else wrote, from a Secret: it may neither start programs nor name files of ours. `of` is for messages. */
  | { readonly is: 'text'; readonly text: string; readonly of: string };

/** Of the settings of one connection; neither keys nor passwords stay in memory for it. */
const printOf = (options: DispatcherOptions): string => {
  const plain = JSON.stringify(options, (_name, value: unknown) => (Buffer.isBuffer(value) ? value.toString('base64') : value));
  return createHash('sha256').update(plain).digest('hex');
};

/**
 * The kubeconfig of client-node, which would open a new pool of connections for every request: only where the certificates, read anew from
 * their files each time, are others than before, does it make one. All requests speak HTTP/1.1, so that each watch has a connection of
 * its own, and one that hangs does not stop the others.
 */
export class SteadyKubeConfig extends KubeConfig {
  #print = '';
  override createDispatcherOptions(...args: Parameters<KubeConfig['createDispatcherOptions']>): DispatcherOptions {
    const options = super.createDispatcherOptions(...args);
    // Undici reads it there (buildConnector), though the types of client-node do not know it.
    if (options.type === 'agent') Object.assign(options.connect, { allowH2: false });
    const print = printOf(options);
    if (print === this.#print) return { type: 'none' };
    this.#print = print;
    return options;
  }
}

/** Advice for who started a program with it; the daemon says which of its files it is, and hands on no advice. */
const bad = (what: string, { cause, next }: { readonly cause?: unknown; readonly next?: string } = {}): RemudaError =>
  new RemudaError('bad-config', what, { ...(cause === undefined ? {} : { cause }), ...(next === undefined ? {} : { next }) });
const nameFile = 'name the kubeconfig of the management cluster: --kubeconfig FILE, or the variable KUBECONFIG';
const nameContext = 'name one that it has: --kube-context NAME; kubectl config get-contexts lists them';

const read = (config: KubeConfig, source: KubeSource): void => {
  switch (source.is) {
    case 'usual':
      return config.loadFromDefault();
    case 'file':
      return config.loadFromFile(source.path);
    case 'pod':
      return config.loadFromCluster();
    case 'text':
      return config.loadFromString(JSON.stringify(foreignKubeConfig(source.text, source.of)));
  }
};
export const nameOf = (source: KubeSource): string => {
  if (source.is === 'file') return `the kubeconfig ${source.path}`;
  if (source.is === 'text') return `the kubeconfig of ${source.of}`;
  return source.is === 'pod' ? 'the service account of this pod' : 'the usual kubeconfig ($KUBECONFIG, ~/.kube/config, or the pod)';
};

/** Reads it. Throws `bad-config`: it cannot be read, names no such context, or there is none. */
export const loadKubeConfig = (source: KubeSource): SteadyKubeConfig => {
  const config = new SteadyKubeConfig();
  try {
    read(config, source);
  } catch (error) {
    if (error instanceof RemudaError) throw error;
    throw bad(`${nameOf(source)} cannot be read: ${reasonOf(error)}`, { cause: error, next: nameFile });
  }
  const { context } = 'context' in source ? source : {};
  if (context !== undefined) {
    if (config.getContextObject(context) === null) throw bad(`${nameOf(source)} has no context "${context}"`, { next: nameContext });
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw bad(`${nameOf(source)} names no cluster: set current-context, or say which context is meant`, { next: nameContext });
  // What client-node falls back to when it finds nothing.
  if (source.is === 'usual' && cluster.server === 'http://localhost:8080' && cluster.name === 'cluster')
    throw bad('no kubeconfig was found: it is not said where the management cluster is', { next: nameFile });
  if (source.is === 'pod' && cluster.server.includes('undefined')) throw bad('we do not run in a pod: KUBERNETES_SERVICE_HOST is not set');
  // Without a user client-node leaves out the cluster's CA too.
  if (config.getCurrentUser() === null) anonymous(config);
  return config;
};
const anonymous = (config: KubeConfig): void => {
  const name = 'anonymous';
  config.users = [...(config.users ?? []), { name }];
  config.contexts = config.contexts.map((context) => (context.name === config.currentContext ? { ...context, user: name } : context));
};
