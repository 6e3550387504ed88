/** `remuda lab up`: builds what hosts boot, starts the rack and the daemon, provisions every server, and leaves nothing behind. */
import { RemudaError } from '../errors.ts';
import { cacheOf, clear, giveBack, interrupted } from './bench.ts';
import type { Bench, Say, Stage } from './bench.ts';
import { build } from './build.ts';
import { clusterLifetime } from './cluster/lifetime.ts';
import { startCrew } from './crew.ts';
import type { Crew } from './crew.ts';
import { probeKvm } from './kvm.ts';
import { checkNeeds } from './needs.ts';
import { imageKinds, mixOf } from './options.ts';
import type { ImageKind, UpOptions } from './options.ts';
import { placeOf, readNote, writeNote } from './place.ts';
import type { Place, RackSpec } from './place.ts';
import { provisionAll, resultsOf } from './provision.ts';
import { isWhole, summary } from './show.ts';
import { ended } from '../world/ending.ts';

const minute = 60_000;
const provisionMs = 15 * minute;
/** What tiny needs, and what debian does. */
const small = { memoryMiB: 512, diskMiB: 256 } as const;
const roomy = { memoryMiB: 768, diskMiB: 1024 } as const;
/** Who tells that the OS is up. */
const phoneHome = { tiny: 'image', debian: 'cloud-init' } as const;

const hints = (place: Place, crew: Crew): string => `
The rack stays up. Try, in another terminal:

  export REMUDA_SOCKET=${place.socket}
  npm run -s remuda -- host list
  npm run -s remuda -- host show h1
  npm run -s remuda -- host timeline h1
  npm run -s remuda -- claim list
  npm run -s remuda -- host reprovision h1 --image tiny-2 --wait
  npm run -s remuda -- claim release lab-h1
  npm run -s remuda -- doctor

The API: ${crew.api}/v1/hosts   consoles: ${place.folder}/h1/serial.log   daemon: ${place.folder}/daemon.log
Stop: Ctrl-C here, or npm run lab -- down
`;

/** Folders of what was built; of the images only those that some host becomes, and tiny's second release for trying things. */
const buildAll = async (bench: Bench, say: Say, kinds: readonly ImageKind[]) => {
  say('building what hosts boot (quick when it was built before)');
  const agent = await build(bench, say, 'images/build.sh', ['ramdisk']);
  const images = new Map<ImageKind, string>();
  for (const kind of imageKinds) if (kinds.includes(kind)) images.set(kind, await build(bench, say, 'images/build.sh', [kind]));
  const tiny2 = await build(bench, say, 'images/build.sh', ['tiny', '--release', '2']);
  const firmware = await build(bench, say, 'firmware/build.sh', []);
  return { agent, firmware, images, tiny2 };
};

const rackOf = (options: UpOptions, place: Place, accel: 'kvm' | 'tcg'): RackSpec => {
  const { firmware, bmc, images } = mixOf(options);
  const { memoryMiB, diskMiB } = images.includes('debian') ? roomy : small;
  const { name, hosts, subnets } = options;
  return { name, hosts, firmware, bmc, subnets, folder: place.folder, accel, memoryMiB: options.memory ?? memoryMiB, diskMiB };
};

/** `lab up`: the exit code. Throws `conflict` where one of that name is up, and what `checkNeeds` throws. */
export const up = async (bench: Bench, options: UpOptions): Promise<number> => {
  const { lab, terminal, interrupt } = bench;
  const place = placeOf(cacheOf(terminal.env), options.name);
  if ((await readNote(lab, place)) !== undefined)
    throw new RemudaError('conflict', `a laboratory is up already: npm run lab -- status shows it, npm run lab -- down ends it`);
  await checkNeeds(lab, options);
  const say: Say = (text) => (options.json ? undefined : terminal.error(`${text}\n`));
  try {
    const code = await (options.cluster ? clusterLifetime : lifetime)(bench, options, { place, say });
    return interrupt.aborted ? interrupted : code;
  } catch (error) {
    // Ctrl-C reaches the daemon and the servers as well: what was being asked of them fails, and that is no news.
    if (interrupt.aborted) return interrupted;
    throw error;
  } finally {
    await clear(lab, place);
    await giveBack(lab, terminal.env, cacheOf(terminal.env));
  }
};

/** From building to cleaning up. */
const lifetime = async (bench: Bench, options: UpOptions, { place, say }: Stage): Promise<number> => {
  const { lab, terminal, interrupt } = bench;
  const began = lab.clock.now();
  const cache = cacheOf(terminal.env);
  const mix = mixOf(options);
  const { agent, firmware, images, tiny2 } = await buildAll(bench, say, mix.images);
  const accel = (await probeKvm(lab, cache)) ? 'kvm' : 'tcg';
  await clear(lab, place);
  say(
    `starting ${options.hosts} virtual servers (${accel === 'kvm' ? 'KVM' : 'QEMU TCG: no working KVM here'}) and the daemon in the network namespace remuda-${options.name}`,
  );
  const rack = rackOf(options, place, accel);
  const crew = await startCrew(lab, { place, rack, agent, firmware });
  try {
    await giveBack(lab, terminal.env, cache);
    await writeNote(lab, place, { api: crew.api, startedAt: began });
    for (const [kind, folder] of images) await crew.admin.importImage(`${folder}/${kind}.raw`, kind, phoneHome[kind]);
    const since = lab.clock.now();
    say(`ready after ${((since - began) / 1000).toFixed(1)} s; provisioning image ${[...images.keys()].join(' and ')}\n`);
    const show = options.json ? undefined : terminal;
    const [hosts] = await Promise.all([
      provisionAll(lab, crew, { images: mix.images, withinMs: provisionMs, since, interrupt, show }),
      // For trying things; the first hosts need not wait for it.
      crew.admin.importImage(`${tiny2}/tiny.raw`, 'tiny-2', 'image'),
    ]);
    if (interrupt.aborted) return interrupted;
    const results = await resultsOf(lab, crew.admin, place, hosts);
    say(`\n${summary(results, (lab.clock.now() - began) / 1000)}`);
    if (options.json) terminal.write(`${JSON.stringify({ hosts: results })}\n`);
    if (!options.once) {
      say(hints(place, crew));
      await ended(interrupt);
    }
    return results.length === options.hosts && results.every(isWhole) ? 0 : 1;
  } finally {
    say(`\ncleaning up: some seconds (a second Ctrl-C leaves the rest to: npm run lab -- down)`);
    await crew.stop();
  }
};
