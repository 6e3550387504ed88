/** OVMF, the UEFI firmware: where distributions keep it, and one host's own copy of its variables. */
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';
import type { Flash } from './arguments.ts';

/** Code and fresh variables, which belong together: Debian and Ubuntu, Fedora, Arch. */
const places = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
] as const;

/** The first place that has both; undefined where no OVMF is installed. */
export const findFlash = async ({ files }: LabWorld): Promise<{ readonly code: string; readonly fresh: string } | undefined> => {
  for (const [code, fresh] of places)
    if ((await files.stat(code)) !== undefined && (await files.stat(fresh)) !== undefined) return { code, fresh };
  return undefined;
};

/** The host's variables are kept across power cycles, as a mainboard keeps them. Throws `not-found` where no OVMF is installed. */
export const prepareFlash = async (lab: LabWorld, folder: string): Promise<Flash> => {
  const { files } = lab;
  const found = await findFlash(lab);
  if (found === undefined)
    throw new RemudaError(
      'not-found',
      `there is no OVMF firmware for UEFI hosts; install the package ovmf (looked for ${places.map(([code]) => code).join(', ')})`,
    );
  const variables = `${folder}/vars.fd`;
  if ((await files.stat(variables)) === undefined) await files.write(variables, await files.read(found.fresh));
  return { code: found.code, variables };
};
