/** What a laboratory needs of this machine, looked for before anything is made, and named all at once. */
import { RemudaError } from '../errors.ts';
import type { LabWorld } from '../world/lab-world.ts';
import type { UpOptions } from './options.ts';
import { findFlash } from './qemu/flash.ts';

const versionMs = 10_000;

const isThere = async ({ processes }: LabWorld, program: string): Promise<boolean> => {
  try {
    await processes.run(program, ['--version'], { timeoutMs: versionMs });
    return true;
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'not-found') return false;
    throw error;
  }
};

/** Throws `not-found` with what is missing and Debian's packages of it, and `forbidden` where we are not root. What the recipes of the images need they say themselves. */
export const checkNeeds = async (
  lab: LabWorld,
  { firmware, subnets, cluster }: Pick<UpOptions, 'firmware' | 'subnets' | 'cluster'>,
): Promise<void> => {
  const missing: { readonly what: string; readonly debian: string }[] = [];
  const programs = [
    { what: 'qemu-system-x86_64', debian: 'qemu-system-x86' },
    { what: 'ip', debian: 'iproute2' },
    ...(cluster ? [{ what: 'setpriv', debian: 'util-linux' }] : []),
    ...(subnets === 2 ? [{ what: 'dhcrelay', debian: 'isc-dhcp-relay' }] : []),
  ];
  for (const one of programs) if (!(await isThere(lab, one.what))) missing.push(one);
  if (firmware !== 'bios' && (await findFlash(lab)) === undefined) missing.push({ what: 'the UEFI firmware OVMF', debian: 'ovmf' });
  if (missing.length > 0)
    throw new RemudaError(
      'not-found',
      `virtual servers need what this machine does not have: ${missing.map(({ what }) => what).join(', ')}. On Debian: apt-get install --no-install-recommends ${missing.map(({ debian }) => debian).join(' ')}`,
    );
  const { stdout } = await lab.processes.run('id', ['-u'], { timeoutMs: versionMs });
  if (stdout.trim() !== '0')
    throw new RemudaError('forbidden', 'a laboratory makes network namespaces: run it as root (npm run lab asks sudo)');
};
