/** Whether KVM runs guests here. A /dev/kvm that opens proves nothing: in some sandboxes SeaBIOS gets through its tests, and iPXE or OVMF then hang. */
import { z } from 'zod';
import { RemudaError } from '../errors.ts';
import type { LabProcess, LabWorld } from '../world/lab-world.ts';

/** iPXE waits two seconds for a key before it sends its first packet. */
const probeMs = 5_000;
/** pcap's file header; what is longer holds a packet. */
const emptyCaptureBytes = 24;
const cached = z.object({ bootId: z.string(), works: z.boolean() });

/** A host whose only device is a network card that leads nowhere but into a capture file. */
const qemuArguments = (accel: 'kvm' | 'tcg', capture: string): readonly string[] =>
  [
    ['-machine', 'pc', '-accel', accel, '-cpu', accel === 'kvm' ? 'host' : 'max', '-m', '128'],
    ['-nodefaults', '-no-user-config', '-display', 'none'],
    ['-netdev', 'hubport,id=net0,hubid=0', '-device', 'virtio-net-pci,netdev=net0,bootindex=0'],
    ['-object', `filter-dump,id=capture,netdev=net0,file=${capture.replaceAll(',', ',,')}`],
  ].flat();

/** Whether the guest has sent a packet before the time is over or its process ends. */
const sends = async (lab: LabWorld, process: LabProcess, capture: string): Promise<boolean> => {
  const state = { ended: false };
  const end = process.wait().then(() => void (state.ended = true));
  const until = lab.clock.now() + probeMs;
  while (!state.ended && lab.clock.now() < until) {
    const captured = await lab.files.stat(capture);
    if (captured !== undefined && captured.sizeBytes > emptyCaptureBytes) break;
    await lab.clock.sleep(50);
  }
  const works = !state.ended && lab.clock.now() < until;
  process.kill('SIGKILL');
  await end;
  return works;
};

/** Whether a guest gets as far as iPXE's first DISCOVER within 5 s with this accelerator. False where there is no QEMU. Writes in `folder`, and removes it. */
export const guestRuns = async (lab: LabWorld, accel: 'kvm' | 'tcg', folder: string): Promise<boolean> => {
  const capture = `${folder}/${accel}-probe.pcap`;
  await lab.files.remove(capture);
  try {
    const process = await lab.processes.spawn('qemu-system-x86_64', qemuArguments(accel, capture));
    return await sends(lab, process, capture);
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'not-found') return false;
    throw error;
  } finally {
    await lab.files.remove(capture);
  }
};

/** `guestRuns` with KVM; asked once per boot of this machine and kept in `folder`/kvm.json. */
export const probeKvm = async (lab: LabWorld, folder: string): Promise<boolean> => {
  const bootId = await textOf(lab, '/proc/sys/kernel/random/boot_id');
  const file = `${folder}/kvm.json`;
  const known = cached.safeParse(parse(await textOf(lab, file)));
  if (known.success && known.data.bootId === bootId) return known.data.works;
  await lab.files.makeFolder(folder);
  const works = (await lab.files.stat('/dev/kvm')) !== undefined && (await guestRuns(lab, 'kvm', folder));
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
