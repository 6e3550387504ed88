/** `remuda controller` and `remuda capi manifests`: the Cluster API provider alone, far from the daemon, and what a management cluster needs of it. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Where } from './client.ts';
import { whereOf } from './connection.ts';
import { seconds } from './duration.ts';
import { CommandFailure, exits, failureOf, usage } from './failure.ts';
import { absolute } from './input.ts';
import { collect, withConnection } from './session.ts';
import type { CommonOptions, Session } from './session.ts';

/** Where something listens. */
export interface ListenAt {
  readonly address: string;
  readonly port: number;
}
/** What `remuda controller` was asked for; paths are absolute. */
export interface ControllerWish {
  readonly rack: Where;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly watchFilter?: string;
  readonly pools: Readonly<Record<string, readonly string[]>>;
  readonly reuseSeconds: number;
  /** Namespace of the Lease; absent: there is no other controller. */
  readonly leaderNamespace?: string;
  readonly health?: ListenAt;
  readonly extension?: ListenAt & { readonly certificate: string; readonly key: string };
  readonly logLevel: string;
}

const listenAt = (text: string): ListenAt => {
  const [, address = '', port = ''] = /^(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})$/.exec(text.startsWith(':') ? `0.0.0.0${text}` : text) ?? [];
  if (address === '' || Number(port) > 65_535) throw new InvalidArgumentError('not an address with its port; write 0.0.0.0:9440.');
  return { address, port: Number(port) };
};
/** `team-a=gpu,default`, several of them parted by `;` as one variable of clusterctl has them */
const poolsOf = (said: readonly string[] | undefined): ControllerWish['pools'] => {
  if (said === undefined) return { '*': ['default'] };
  return Object.fromEntries(
    said
      .flatMap((text) => text.split(';'))
      .filter((text) => text !== '')
      .map((text) => {
        const [namespace = '', pools] = text.split('=');
        if (namespace === '' || pools === undefined)
          throw usage(`${text} names no pools`, 'write --pools NAMESPACE=POOL,POOL; * is every namespace');
        return [namespace, pools.split(',').filter((pool) => pool !== '')];
      }),
  );
};

interface Options extends CommonOptions {
  readonly kubeconfig?: string;
  readonly kubeContext?: string;
  readonly namespace?: string;
  readonly watchFilter?: string;
  readonly pools?: readonly string[];
  readonly reuse: number;
  readonly leaderElect: boolean;
  readonly leaderElectionNamespace: string;
  readonly healthListen?: ListenAt;
  readonly extensionListen?: ListenAt;
  readonly extensionCertificate?: string;
  readonly extensionKey?: string;
  readonly log: string;
}
const wishOf = async ({ deps }: Session, options: Options): Promise<ControllerWish> => {
  const { terminal, world } = deps;
  const path = (text: string): string => absolute(text, terminal.cwd);
  const { extensionListen, extensionCertificate, extensionKey } = options;
  if (extensionListen === undefined && (extensionKey !== undefined || extensionCertificate !== undefined))
    throw usage('--extension-certificate and --extension-key are of no use without --extension-listen');
  if (extensionListen !== undefined && (extensionKey === undefined || extensionCertificate === undefined))
    throw usage(
      '--extension-listen needs --extension-certificate and --extension-key',
      'its authority stands in the ExtensionConfig (caBundle), so it must stay the same over restarts',
    );
  return {
    rack: await whereOf({ files: world.files, terminal }, options),
    ...(options.kubeconfig === undefined ? {} : { kubeconfig: path(options.kubeconfig) }),
    ...(options.kubeContext === undefined ? {} : { context: options.kubeContext }),
    // clusterctl writes the argument also where all namespaces are meant.
    ...(options.namespace === undefined || options.namespace === '' ? {} : { namespace: options.namespace }),
    ...(options.watchFilter === undefined || options.watchFilter === '' ? {} : { watchFilter: options.watchFilter }),
    pools: poolsOf(options.pools),
    reuseSeconds: options.reuse,
    ...(options.leaderElect ? { leaderNamespace: options.leaderElectionNamespace } : {}),
    ...(options.healthListen === undefined ? {} : { health: options.healthListen }),
    ...(extensionListen === undefined || extensionCertificate === undefined || extensionKey === undefined
      ? {}
      : { extension: { ...extensionListen, certificate: path(extensionCertificate), key: path(extensionKey) } }),
    logLevel: options.log,
  };
};

/** It has no configuration but what it was called with. */
const misused = (error: unknown): never => {
  const failure = failureOf(error);
  if (failure.code !== 'bad-config') throw error;
  const next = failure.next ?? 'mend the options: see remuda controller --help';
  throw new CommandFailure(exits.usage, failure.message, { next, code: failure.code, cause: error });
};

export const controllerCommands = (session: Session, program: Command): void => {
  const { local, terminal } = session.deps;
  const controller = withConnection(
    program
      .command('controller')
      .description('the Cluster API provider, alone: machines of a management cluster become claims of a daemon\u2019s rack'),
  )
    .option('--kubeconfig <file>', 'how the management cluster is reached (KUBECONFIG; in a pod its own account)')
    .option('--kube-context <name>', 'of the kubeconfig, instead of its current one')
    .option('--namespace <namespace>', 'only machines of this namespace')
    .option('--watch-filter <value>', 'only objects whose label cluster.x-k8s.io/watch-filter has this value')
    .option(
      '--pools <namespace=pool,pool>',
      'which pools a namespace may claim from, again for each; * is every other (default: *=default)',
      collect,
    )
    .option('--reuse <time>', 'keep the host of a deleted machine so long for its successor', seconds, 3600)
    .option('--no-leader-elect', 'there is no other controller: do not ask for the Lease')
    .option('--leader-election-namespace <namespace>', 'where the Lease stands', 'remuda-system')
    .option('--health-listen <address:port>', '/healthz, /readyz and /metrics', listenAt)
    .option('--extension-listen <address:port>', 'serve Cluster API\u2019s in-place update hooks (TLS)', listenAt)
    .option('--extension-certificate <file>', 'PEM, valid for the address or name by which Cluster API calls it')
    .option('--extension-key <file>', 'PEM')
    .addOption(new Option('--log <level>', 'what is logged').choices(['debug', 'info', 'warn', 'error']).default('info'));
  controller.action(async () => {
    const wish = await wishOf(session, controller.optsWithGlobals<Options>());
    session.outcome.exit = await local.controller(wish).catch((error: unknown) => misused(error));
  });

  const capi = program.command('capi').description('Cluster API: what a management cluster needs of this provider');
  const manifests = capi
    .command('manifests')
    .description('write the files that clusterctl reads: components, metadata, cluster templates, classes')
    .requiredOption('--out <folder>', 'a folder; files of these names in it are replaced');
  manifests.action(async () => {
    const written = await local.capiManifests(absolute(manifests.opts<{ out: string }>().out, terminal.cwd));
    terminal.write(written.map((path) => `${path}\n`).join(''));
  });
};
