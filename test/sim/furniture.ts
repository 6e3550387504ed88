/** What the simulated rack is furnished with: the daemon's configuration, what hosts boot, two small images. */
import { configSchema } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import type { Files } from '../../src/world/world.ts';
import { diskImage, types } from '../image/disk.ts';

/** Where the seed lies in every image here. */
export const seedAt = { offsetBytes: 64 * 512, sizeBytes: 160 * 512 };

/** 128 KiB with an ESP, an empty seed and a body that tells one image from the other. */
export const rawImage = (body: number, sizeBytes = 128 * 1024): Uint8Array => {
  const fill = new Uint8Array(sizeBytes).map((_, index) => (index * body) & 0xff);
  const partitions = [
    { name: 'ESP', type: types.esp, first: 40, last: 59 },
    { name: 'CIDATA', type: types.linux, first: 64, last: 223 },
  ];
  const bytes = Buffer.from(diskImage(sizeBytes, partitions, fill));
  bytes.fill(0, seedAt.offsetBytes, seedAt.offsetBytes + seedAt.sizeBytes);
  return bytes;
};

export interface Settings {
  readonly limits: Record<string, number>;
  readonly accept: readonly string[];
  readonly relayed: boolean;
  /** Smaller pools, less patience: what a reload changes, and changes back. */
  readonly narrow: boolean;
}
/** The smallest configuration of that rack: each step fails within minutes, so that a day sees many of them. */
export const configOf = (data: string, { limits, accept, relayed, narrow }: Settings): Config => {
  const near = { interface: 'br0', cidr: '10.77.0.0/24', serverAddress: '10.77.0.1' };
  const far = { relay: { via: 'br0' }, cidr: '10.77.2.0/24' };
  const from = narrow ? 54 : 50;
  return configSchema.parse({
    data,
    boot: { agent: '/boot', firmware: '/boot' },
    accept: { macs: [...accept] },
    subnets: [
      { ...near, pool: { from: `10.77.0.${from}`, to: '10.77.0.60' } },
      ...(relayed ? [{ ...far, pool: { from: `10.77.2.${from}`, to: '10.77.2.60' } }] : []),
    ],
    limits: {
      chunkBytes: 16 * 1024,
      firstPacketMs: 60_000,
      agentArrivesMs: 120_000,
      jobSilenceMs: narrow ? 50_000 : 60_000,
      agentAliveMs: 30_000,
      phoneHomeMs: 180_000,
      parkMs: narrow ? 60_000 : 120_000,
      powerStepMs: 30_000,
      bootTicketMs: 600_000,
      bmcLoginPauseMs: 60_000,
      bmcLoginPauseMostMs: 240_000,
      ...limits,
    },
  });
};

/** What stands in the folders that the configuration names. */
export const layOut = async (files: Files, data: string): Promise<void> => {
  for (const folder of ['/boot', '/import']) await files.makeFolder(folder);
  await files.makeFolder(data);
  await files.write('/boot/vmlinuz', 'kernel');
  await files.write('/boot/initrd.zst', 'ramdisk');
  await files.write('/boot/undionly.kpxe', 'undionly');
  await files.write('/boot/snponly.efi', 'snponly');
  await files.write(
    '/boot/ramdisk.json',
    JSON.stringify({ vmlinuz: { sha256: 'a'.repeat(64), sizeBytes: 6 }, initrd: { sha256: 'b'.repeat(64), sizeBytes: 7 } }),
  );
};
