/**
 * The real clusterctl on our package, from a local repository: what it generates, what it puts into a management cluster and takes away.
 * The plane has no nodes: the controller's Deployment stands there without a pod, and cert-manager is two CRDs that nobody serves.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { field } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { planeBinaries } from '../../../src/lab/plane/binaries.ts';
import { packageFiles } from '../../../src/kube/package/files.ts';
import { definitions } from '../../../src/kube/schema/definitions.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';
import { objectsOf, providerObjects, version } from './provider.ts';
import { eventually, ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const execute = promisify(execFile);
const callMs = 240_000;
const fingerprint = 'ab'.repeat(32);
const flavours = ['', 'development', 'kube-vip', 'workers-in-place', 'topology'];
const kubernetes = 'v1.34.4';

const preserving = (group: string, kind: string, served: string): PlaneObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${kind.toLowerCase()}s.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind, listKind: `${kind}List`, plural: `${kind.toLowerCase()}s`, singular: kind.toLowerCase() },
    versions: [
      {
        name: served,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
});

void describe('clusterctl', ground, () => {
  let on: TestPlane;
  let folder: string;
  let program: string;
  let core: string;
  let environment: Record<string, string>;

  const clusterctl = async (...args: readonly string[]): Promise<string> => {
    const config = ['--config', join(folder, 'clusterctl.yaml')];
    const { stdout } = await execute(program, [...args, ...config], { env: environment, timeout: callMs, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  };
  const generate = (flavour: string, name: string, namespace: string): Promise<string> =>
    clusterctl(
      'generate',
      'cluster',
      name,
      '--infrastructure',
      `remuda:v${version}`,
      '--kubernetes-version',
      kubernetes,
      '--target-namespace',
      namespace,
      '--control-plane-machine-count',
      '1',
      '--worker-machine-count',
      '2',
      '--kubeconfig',
      on.kubeconfig,
      ...(flavour === '' ? [] : ['--flavor', flavour]),
    );

  before(async () => {
    if (ground.skip !== false) return;
    on = plane();
    folder = mkdtempSync(join(tmpdir(), 'remuda-clusterctl-'));
    const life = new AbortController();
    const lab = realLabWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
    program = join(await planeBinaries(lab, { names: ['clusterctl'], say: (line) => console.error(line) }), 'clusterctl');
    life.abort(new DOMException('it is built', 'AbortError'));
    environment = {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      XDG_CONFIG_HOME: folder,
      CLUSTERCTL_DISABLE_VERSIONCHECK: 'true',
      GOPROXY: 'off',
    };
    const { stdout } = await execute(program, ['version', '-o', 'short'], { env: environment });
    core = stdout.trim();
    writeRepository();
    await on.apply(...providerObjects());
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** As clusterctl wants a local one: `<folder>/<label>/<version>/<file>`. */
  function writeRepository(): void {
    const ours = join(folder, 'infrastructure-remuda', `v${version}`);
    mkdirSync(ours, { recursive: true });
    for (const [name, text] of packageFiles(version)) writeFileSync(join(ours, name), text);
    const coreFolder = join(folder, 'cluster-api', core);
    mkdirSync(coreFolder, { recursive: true });
    for (const name of ['core-components.yaml', 'metadata.yaml'])
      copyFileSync(join(on.binaries, 'manifests', name), join(coreFolder, name));
    const settings = {
      providers: [
        { name: 'remuda', type: 'InfrastructureProvider', url: join(ours, 'infrastructure-components.yaml') },
        { name: 'cluster-api', type: 'CoreProvider', url: join(coreFolder, 'core-components.yaml') },
      ],
      REMUDA_URL: 'https://192.0.2.7:7443',
      REMUDA_TOKEN: 'rt_secret',
      REMUDA_TRUST: `fingerprint=${fingerprint}`,
      REMUDA_OS_IMAGE: 'kubernetes',
      CONTROL_PLANE_ENDPOINT_HOST: '192.0.2.100',
    };
    // JSON is YAML.
    writeFileSync(join(folder, 'clusterctl.yaml'), JSON.stringify(settings));
  }

  void test('generate provider: every variable is filled in, every object labelled', async () => {
    const objects = objectsOf(await clusterctl('generate', 'provider', '--infrastructure', `remuda:v${version}`));
    assert.doesNotMatch(JSON.stringify(objects), /\$\{/);
    for (const { kind, metadata } of objects)
      assert.ok(metadata.labels !== undefined && 'clusterctl.cluster.x-k8s.io' in metadata.labels, kind);
    const deployment = objects.find(({ kind }) => kind === 'Deployment');
    const [container] = field(deployment, 'spec', 'template', 'spec', 'containers') as readonly {
      args: readonly string[];
      image: string;
    }[];
    assert.deepEqual(container?.args.slice(0, 7), [
      'controller',
      '--url=https://192.0.2.7:7443',
      `--fingerprint=${fingerprint}`,
      '--token-file=/etc/remuda/daemon/token',
      '--namespace=',
      '--pools=*=default',
      '--reuse=1h',
    ]);
    assert.match(container.image, /remuda:\d/);
    assert.equal(field(deployment, 'spec', 'replicas'), 1);
    // A regular expression has dollar signs too.
    const machines = objects.find(({ metadata }) => metadata.name.startsWith('baremetalmachines.'));
    assert.match(JSON.stringify(machines), /\(Ki\|Mi\|Gi\|Ti\|Pi\|k\|M\|G\|T\|P\)\?\$"/);
  });

  void test('generate provider: without a controller nothing must be said', async () => {
    const settings = join(folder, 'clusterctl-poor.yaml');
    const url = join(folder, 'infrastructure-remuda', `v${version}`, 'infrastructure-components.yaml');
    const providers = [{ name: 'remuda', type: 'InfrastructureProvider', url }];
    writeFileSync(settings, JSON.stringify({ providers, REMUDA_CONTROLLER_REPLICAS: '0' }));
    const { stdout } = await execute(program, ['generate', 'provider', '--infrastructure', 'remuda', '--config', settings], {
      env: environment,
      maxBuffer: 64 * 1024 * 1024,
    });
    const objects = objectsOf(stdout);
    const deployment = objects.find(({ kind }) => kind === 'Deployment');
    assert.equal(field(deployment, 'spec', 'replicas'), 0);
    const [container] = field(deployment, 'spec', 'template', 'spec', 'containers') as readonly { args: readonly string[] }[];
    assert.ok(container?.args.includes('--url=REMUDA_URL-is-not-set'));
    assert.equal(
      field(
        objects.find(({ metadata }) => metadata.name === 'remuda-daemon'),
        'stringData',
        'token',
      ),
      '',
    );
  });

  for (const flavour of flavours)
    void test(`generate cluster, flavour ${flavour === '' ? 'default' : flavour}: the API server and Cluster API's webhooks take it`, async (t) => {
      const namespace = await on.newNamespace(t);
      const text = await generate(flavour, 'c1', namespace);
      assert.doesNotMatch(text, /\$\{/);
      const file = join(folder, `c1-${flavour}.yaml`);
      writeFileSync(file, text);
      const objects = objectsOf(text);
      const kinds = objects.map(({ kind }) => kind);
      assert.ok(kinds.includes('Cluster'), kinds.join());
      if (flavour === 'topology') {
        assert.ok(kinds.includes('ClusterClass'), 'clusterctl brings the class that the cluster names');
        return;
      }
      for (const { metadata } of objects) assert.equal(metadata.namespace, namespace);
      assert.match(
        await on.kubectl('apply', '--dry-run=server', '--server-side', '-f', file),
        /machinedeployment\.cluster\.x-k8s\.io\/c1-md-0/,
      );
    });

  void test('a cluster by class: the topology controller makes our objects, and new templates where a variable changes', async (t) => {
    const namespace = await on.newNamespace(t);
    const file = join(folder, 'topology.yaml');
    const objects = objectsOf(await generate('topology', 'top', namespace));
    await on.apply(...objects.filter(({ kind }) => kind !== 'Cluster'));
    await eventually('the class is reconciled', async () => {
      const found = await on.read('clusterclass', 'remuda', namespace);
      const conditions = (field(found, 'status', 'conditions') ?? []) as readonly { type: string; status: string }[];
      return conditions.some(({ type, status }) => type === 'VariablesReady' && status === 'True');
    });
    writeFileSync(file, JSON.stringify(objects.find(({ kind }) => kind === 'Cluster')));
    await on.kubectl('apply', '--server-side', '-f', file);
    const spec = await eventually('the templates are there', async () => {
      const { items = [] } = JSON.parse(await on.kubectl('get', 'baremetalmachinetemplates', '-n', namespace, '-o', 'json')) as {
        items?: readonly PlaneObject[];
      };
      const made = items.filter(({ metadata }) => metadata.name.startsWith('top-'));
      return made.length === 2 && made.map((one) => field(one, 'spec', 'template', 'spec'));
    });
    for (const one of spec) {
      assert.equal(field(one, 'image'), 'kubernetes');
      assert.deepEqual(field(one, 'hostSelector'), { pools: ['default'] });
    }
    const { items = [] } = JSON.parse(await on.kubectl('get', 'baremetalclusters', '-n', namespace, '-o', 'json')) as {
      items?: readonly PlaneObject[];
    };
    assert.deepEqual(field(items[0], 'spec', 'controlPlaneEndpoint'), { host: '192.0.2.100', port: 6443 });
    const reconciled = async (): Promise<string | undefined> => {
      const conditions = (field(await on.read('cluster', 'top', namespace), 'status', 'conditions') ?? []) as readonly Record<
        string,
        string
      >[];
      const found = conditions.find(({ type }) => type === 'TopologyReconciled');
      return found?.['status'] === 'True' ? found['status'] : undefined;
    };
    await eventually('the topology is reconciled', reconciled);
    // Another image is another template: the dry run may not be refused by our policy.
    const cluster = await on.read('cluster', 'top', namespace);
    const said = field(cluster, 'spec', 'topology', 'variables') as readonly { readonly name: string; readonly value: unknown }[];
    const variables = said.map(({ name, value }) => ({ name, value: name === 'image' ? 'other' : value }));
    const patch = { spec: { topology: { variables } } };
    await on.kubectl('patch', 'cluster', 'top', '-n', namespace, '--type', 'merge', '-p', JSON.stringify(patch));
    await eventually('a template with the new image', async () => {
      const text = await on.kubectl(
        'get',
        'baremetalmachinetemplates',
        '-n',
        namespace,
        '-o',
        'jsonpath={.items[*].spec.template.spec.image}',
      );
      return text.includes('other');
    });
  });

  /** clusterctl deletes and makes anew what is the provider's: an account of the package would lose its token. */
  async function upgraded(t: TestContext): Promise<void> {
    const next = 'v0.99.0';
    const place = join(folder, 'infrastructure-remuda', next);
    mkdirSync(place, { recursive: true });
    for (const [name, text] of packageFiles(next)) writeFileSync(join(place, name), text);
    const account = 'remuda-daemon';
    await on.kubectl('-n', 'remuda-system', 'create', 'serviceaccount', account);
    const binding = ['clusterrolebinding', account];
    t.after(() => on.kubectl('delete', ...binding));
    t.after(() => on.kubectl('-n', 'remuda-system', 'delete', 'serviceaccount', account));
    await on.kubectl('create', ...binding, '--clusterrole', 'remuda-system-controller', '--serviceaccount', `remuda-system:${account}`);
    const uidOf = async (name: string): Promise<unknown> =>
      field(await on.read('serviceaccount', name, 'remuda-system'), 'metadata', 'uid');
    const [ours, theirs] = [await uidOf(account), await uidOf('remuda-controller')];
    await clusterctl('upgrade', 'apply', '--infrastructure', `remuda:${next}`, '--kubeconfig', on.kubeconfig);
    const provider = await on.read('providers.clusterctl.cluster.x-k8s.io', 'infrastructure-remuda', 'remuda-system');
    assert.equal(field(provider, 'version'), next);
    assert.equal(await uidOf(account), ours);
    assert.notEqual(await uidOf('remuda-controller'), theirs);
    const right = { namespace: 'team-a', group: 'infrastructure.cluster.x-k8s.io', resource: 'baremetalmachines', verb: 'patch' };
    await eventually('the account has its rights again', () => on.door.mayAccount('remuda-system', account, right));
  }

  void test('init, describe, upgrade and delete', async (t) => {
    const namespace = await on.newNamespace(t);
    const inventory = 'clusterctl.cluster.x-k8s.io';
    const standIns = [
      preserving('cert-manager.io', 'Issuer', 'v1'),
      preserving('cert-manager.io', 'Certificate', 'v1'),
      preserving(inventory, 'Provider', 'v1alpha3'),
    ];
    t.after(async () => {
      for (const { metadata } of standIns)
        await on.door.call('DELETE', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${metadata.name}`);
    });
    const coreProvider = {
      apiVersion: `${inventory}/v1alpha3`,
      kind: 'Provider',
      metadata: {
        name: 'cluster-api',
        namespace: 'capi-system',
        labels: { [inventory]: '', 'cluster.x-k8s.io/provider': 'cluster-api', [`${inventory}/core`]: 'inventory' },
      },
      providerName: 'cluster-api',
      type: 'CoreProvider',
      version: core,
    };
    await on.apply(...standIns, coreProvider);
    await clusterctl('init', '--infrastructure', `remuda:v${version}`, '--kubeconfig', on.kubeconfig);
    const provider = await on.read('providers.clusterctl.cluster.x-k8s.io', 'infrastructure-remuda', 'remuda-system');
    assert.equal(field(provider, 'version'), `v${version}`);
    assert.ok((await on.read('deployment', 'remuda-controller', 'remuda-system')) !== undefined);
    for (const { kind } of definitions) {
      const crd = await on.read('crd', `${kind.plural}.${kind.group}`);
      assert.ok(crd?.metadata.labels !== undefined && inventory in crd.metadata.labels, kind.plural);
    }

    await on.apply(...objectsOf(await generate('', 'described', namespace)));
    const tree = await eventually('the cluster has its parts', async () => {
      const text = await clusterctl(
        'describe',
        'cluster',
        'described',
        '-n',
        namespace,
        '--kubeconfig',
        on.kubeconfig,
        '--show-conditions',
        'all',
      );
      return text.includes('BareMetalCluster/described') && text;
    });
    assert.match(tree, /KubeadmControlPlane\/described-control-plane/);

    await upgraded(t);

    await clusterctl('delete', '--infrastructure', 'remuda', '--kubeconfig', on.kubeconfig);
    assert.equal(await on.read('deployment', 'remuda-controller', 'remuda-system'), undefined);
    assert.equal(await on.read('clusterrole', 'remuda-system-controller'), undefined);
    assert.equal(await on.read('validatingadmissionpolicy', 'remuda-system-templates-are-immutable'), undefined);
    // Without --include-crd every machine keeps its object, and its claim with it.
    assert.ok((await on.read('baremetalcluster', 'described', namespace)) !== undefined);
    await on.apply(...providerObjects());
  });
});
