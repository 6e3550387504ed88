/** The kubernetes image: the same bytes twice, its size, its versions, nothing of one machine and nothing that must be pulled. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, builtTwice, images, minute, rootHoldsNothingOfOneMachine, rootOf, run, sha256, skipKubernetes } from './recipe.ts';

test(
  'two builds of the kubernetes image are the same, and hold what a node needs',
  { skip: skipKubernetes, timeout: 40 * minute },
  async () => {
    const folder = await build('kubernetes');
    const built = join(folder, 'kubernetes.raw');
    const about = JSON.parse(await readFile(join(folder, 'kubernetes.json'), 'utf8'));
    const [, version] = /^\tk8s\.io\/kubernetes (v\S+)/m.exec(await readFile(join(images, 'kubernetes/module/go.mod'), 'utf8')) ?? [];
    const { size } = await stat(built);
    assert.deepEqual(about, { name: `kubernetes-${version}`, release: 'bookworm', sha256: await sha256(built), sizeBytes: size });
    assert.ok(size <= 260 * 1024 ** 2, `kubernetes ${size}`);
    await rootHoldsNothingOfOneMachine(built);
    const { cat, list } = await rootOf(built);
    const release = await cat('usr/lib/os-release');
    for (const line of ['VARIANT_ID=kubernetes-worker', 'IMAGE_ID=remuda-kubernetes', `IMAGE_VERSION=${version}`])
      assert.ok(release.split('\n').includes(line), `${line} in\n${release}`);
    assert.match(await cat('usr/share/remuda/images/pause.manifest'), /^[0-9a-f]{64}\n$/);
    assert.match(await cat('etc/containerd/config.toml'), /^ {2}sandbox_image = "registry\.k8s\.io\/pause:[\d.]+"$/m);
    const all = await list();
    for (const path of [
      'usr/bin/kubelet',
      'usr/bin/kubeadm',
      'usr/bin/containerd',
      'usr/sbin/runc',
      'usr/sbin/conntrack',
      'usr/lib/cni/bridge',
    ])
      assert.match(all, new RegExp(`^-rwxr-xr-x root/root .* squashfs-root/${path}$`, 'm'));
    assert.match(all, /squashfs-root\/opt\/cni\/bin\/bridge -> \/usr\/lib\/cni\/bridge/);
    assert.doesNotMatch(all, /kube-apiserver|squashfs-root\/var\/lib\/containerd\/./);
    await builtTwice(folder, 'kubernetes.raw');
  },
);

test('a word that the recipe does not know is refused', { skip: skipKubernetes }, async () => {
  await assert.rejects(run(join(images, 'kubernetes/build.sh'), ['out.raw', '--controlplane']), /usage/);
  await assert.rejects(run(join(images, 'kubernetes/build.sh'), []), /usage/);
});
