/** The components where little or nothing was said: without a controller nothing is missing, with one it says what. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { variablesOf, variables } from '../../../src/kube/package/variables.ts';
import { files, withDefaults } from './with-defaults.ts';
import type { Written } from './with-defaults.ts';

const execute = promisify(execFile);
const program = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const file = 'infrastructure-components.yaml';

void test('nothing must be said: a controller may not be wanted at all', () => {
  for (const name of variablesOf(files.get(file) ?? '').known) assert.notEqual(variables[name].value, undefined, name);
});

const complaints: readonly { readonly said: Readonly<Record<string, string>>; readonly words: RegExp }[] = [
  { said: {}, words: /token has no token in it/ },
  { said: { REMUDA_TOKEN: 'remuda_a_b' }, words: /REMUDA_TRUST-is-not-set is no SHA-256 fingerprint/ },
  {
    said: { REMUDA_TOKEN: 'remuda_a_b', REMUDA_TRUST: `fingerprint=${'ab'.repeat(32)}` },
    words: /REMUDA_URL-is-not-set is no URL; write it like https:/,
  },
];
for (const { said, words } of complaints)
  void test(`a controller that was told ${Object.keys(said).join(' and ') || 'nothing'} ends with what it misses`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'remuda-controller-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const objects = withDefaults(file, said);
    const { stringData } = objects.find(({ kind }) => kind === 'Secret') as Written & { readonly stringData: { readonly token: string } };
    writeFileSync(join(folder, 'token'), stringData.token);
    const { spec } = objects.find(({ kind }) => kind === 'Deployment') as Written & {
      readonly spec: { readonly template: { readonly spec: { readonly containers: readonly [{ readonly args: readonly string[] }] } } };
    };
    const args = spec.template.spec.containers[0].args.map((arg) => arg.replace('/etc/remuda/daemon', folder));
    await assert.rejects(execute(process.execPath, [program, ...args], { timeout: 60_000 }), (error: { readonly stderr: string }) => {
      assert.match(error.stderr, words);
      return true;
    });
  });

void test('clusterctl move finds our kinds however they came: their CRDs carry its label', () => {
  const crds = withDefaults(file).filter(({ kind }) => kind === 'CustomResourceDefinition');
  assert.ok(crds.length > 0);
  for (const { metadata } of crds) assert.equal(metadata.labels?.['clusterctl.cluster.x-k8s.io'], '', metadata.name);
});
