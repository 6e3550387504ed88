/** What hosts load first, read when the daemon starts: the agent's kernel and ramdisk, and the boot programs of firmware. */
import { z } from 'zod';
import type { BootDeps, BootFile } from './api/boot-routes.ts';
import { bootFileNames } from './boot/decide.ts';
import { RemudaError } from './errors.ts';
import type { World } from './world/world.ts';

const ramdiskSchema = z.object({
  vmlinuz: z.object({ sha256: z.string(), sizeBytes: z.number() }),
  initrd: z.object({ sha256: z.string(), sizeBytes: z.number() }),
});

/** The agent's kernel and ramdisk with their hashes, as the recipe recorded them. */
export const readBootFiles = async (world: World, folder: string): Promise<BootDeps['files']> => {
  const text = Buffer.from(await world.files.read(`${folder}/ramdisk.json`)).toString('utf8');
  const { vmlinuz, initrd } = ramdiskSchema.parse(JSON.parse(text));
  const file = async (name: string, said: { readonly sha256: string; readonly sizeBytes: number }): Promise<BootFile> => {
    const path = `${folder}/${name}`;
    const stat = await world.files.stat(path);
    if (stat?.sizeBytes !== said.sizeBytes)
      throw new RemudaError(
        'bad-config',
        `${path} has ${stat?.sizeBytes ?? 'no'} bytes, ramdisk.json says ${said.sizeBytes}: build the agent's ramdisk again`,
      );
    return { ...said, name, path };
  };
  return { kernel: await file('vmlinuz', vmlinuz), initrd: await file('initrd.zst', initrd) };
};

/** The first-stage boot programs in memory; a missing one is said, and its clients get no file. */
export const readPrograms = async (world: World, folder: string): Promise<ReadonlyMap<string, Uint8Array>> => {
  const programs = new Map<string, Uint8Array>();
  for (const name of bootFileNames) {
    const path = `${folder}/${name}`;
    if ((await world.files.stat(path)) === undefined)
      world.log.warn('boot program is missing: hosts that need it cannot boot from the network', { path });
    else programs.set(name, await world.files.read(path));
  }
  return programs;
};
