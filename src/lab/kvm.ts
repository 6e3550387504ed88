/** Whether KVM runs guests here. A /dev/kvm that opens proves nothing: in some sandboxes its guests never get anywhere. */
import { z } from 'zod';
import { RemudaError } from '../errors.ts';
import type { LabProcess, LabWorld } from '../world/lab-world.ts';

const probeMs = 3_000;
/** What SeaBIOS says on its debug port when it is through: the guest ran, took interrupts, and timers passed. */
const lastWords = 'No bootable device';
const cached = z.object({ bootId: z.string(), works: z.boolean() });

const qemuArguments = (accel: 'kvm' | 'tcg'): readonly string[] =>
  [
    ['-machine', 'pc', '-accel', accel, '-m', '32', '-nodefaults', '-no-user-config', '-display', 'none'],
    // The port is SeaBIOS's CONFIG_DEBUG_IO.
    ['-chardev', 'stdio,id=debug,signal=off', '-device', 'isa-debugcon,iobase=0x402,chardev=debug'],
  ].flat();

const speaks = async (process: LabProcess, lab: LabWorld): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  process.lines((line) => {
    if (line.includes(lastWords)) resolve(true);
  });
  const cancel = lab.clock.after(probeMs, () => resolve(false));
  const works = await Promise.race([promise, process.wait().then(() => false)]);
  cancel();
  return works;
};

/** Whether a guest without disks gets through its BIOS within 3 s with this accelerator. False where there is no QEMU. */
export const guestRuns = async (lab: LabWorld, accel: 'kvm' | 'tcg'): Promise<boolean> => {
  try {
    const process = await lab.processes.spawn('qemu-system-x86_64', qemuArguments(accel), { stdout: 'lines' });
    const works = await speaks(process, lab);
    process.kill('SIGKILL');
    await process.wait();
    return works;
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'not-found') return false;
    throw error;
  }
};

/** `guestRuns` with KVM; asked once per boot of this machine and kept in `folder`/kvm.json. */
export const probeKvm = async (lab: LabWorld, folder: string): Promise<boolean> => {
  const bootId = await textOf(lab, '/proc/sys/kernel/random/boot_id');
  const file = `${folder}/kvm.json`;
  const known = cached.safeParse(parse(await textOf(lab, file)));
  if (known.success && known.data.bootId === bootId) return known.data.works;
  const works = (await lab.files.stat('/dev/kvm')) !== undefined && (await guestRuns(lab, 'kvm'));
  await lab.files.makeFolder(folder);
  await lab.files.write(file, JSON.stringify({ bootId, works }));
  return works;
};

/** Empty where there is no such file. */
const textOf = async (lab: LabWorld, path: string): Promise<string> =>
  (await lab.files.stat(path)) === undefined ? '' : new TextDecoder().decode(await lab.files.read(path)).trim();
const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
