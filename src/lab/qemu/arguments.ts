/** The command line of one host's QEMU: the whole hardware in one table. */
import { RemudaError } from '../../errors.ts';
import type { Mac, Uuid } from '../../wire/address.ts';

export interface DiskSpec {
  /** A raw image. */
  readonly path: string;
  readonly sizeBytes: number;
  /** At most 20 characters (virtio 1.2 §5.2.6, VIRTIO_BLK_T_GET_ID). */
  readonly serial: string;
}
export interface HostSpec {
  /** Letters, digits and dashes. */
  readonly name: string;
  readonly firmware: 'bios' | 'uefi';
  readonly mac: Mac;
  readonly uuid: Uuid;
  /** The serial number of the system (SMBIOS type 1). */
  readonly serial: string;
  readonly disks: readonly DiskSpec[];
  readonly memoryMiB: number;
  readonly cpus: number;
  /** The tap that its network card is plugged into. */
  readonly tap: string;
  /** The host's own: serial.log, qemu.log, qmp.sock, vars.fd, pid.json. */
  readonly folder: string;
  readonly accel: 'tcg' | 'kvm';
  /** The network namespace to start in; default the one of this process. */
  readonly namespace?: string;
}
/** The flash of OVMF: the code that all hosts share, and one host's own variables. */
export interface Flash {
  readonly code: string;
  readonly variables: string;
}

/** The network card's place in the boot order: before the disks for one boot, else after them. */
const networkFirst = 1;
const networkLast = 99;

/** QEMU splits options at commas and takes two of them for one. */
const quoted = (value: string): string => value.replaceAll(',', ',,');

const diskArguments = (disk: DiskSpec, index: number): readonly string[] => [
  '-drive',
  // `unsafe` leaves syncing to nobody: a laboratory's disks need not survive the power failure of the machine it runs on.
  `if=none,id=drive${index},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file=${quoted(disk.path)}`,
  '-device',
  `virtio-blk-pci,id=disk${index},drive=drive${index},serial=${disk.serial},bootindex=${networkFirst + 1 + index}`,
];

const flashArguments = ({ code, variables }: Flash): readonly string[] => [
  '-drive',
  `if=pflash,unit=0,format=raw,readonly=on,file=${quoted(code)}`,
  '-drive',
  `if=pflash,unit=1,format=raw,file=${quoted(variables)}`,
];

/**
 * TCG: a translation cache of 32 to 512 MiB makes no difference to a small system. The programs of a Kubernetes node do not fit into 128: then
 * all of it is thrown away and made again every four seconds (`info jit`: TB flush count), and `kubeadm init` takes twice as long. A second CPU costs a third more work until the ramdisk
 * runs, and without five-level page tables (la57) a kernel and OVMF need 5 to 8 % less. Without AVX the agent's hashing takes the plain path,
 * which emulates a quarter faster.
 */
const acceleratorOf = ({ accel, memoryMiB }: HostSpec): readonly [accel: string, cpu: string] => {
  if (accel === 'kvm') return ['kvm', 'host'];
  return [`tcg,thread=multi,tb-size=${Math.min(1024, Math.max(128, memoryMiB))}`, 'max,la57=off,avx2=off,avx=off'];
};

/** Throws `bad-config` for what QEMU would take for something else. */
export const checkSpec = (spec: HostSpec): void => {
  const refuse = (why: string): never => {
    throw new RemudaError('bad-config', `host ${spec.name}: ${why}`, { values: { host: spec.name } });
  };
  const word = /^[A-Za-z0-9-]+$/;
  if (!word.test(spec.name)) refuse('a name has letters, digits and dashes only');
  if (!word.test(spec.serial)) refuse('a serial number has letters, digits and dashes only');
  for (const { serial } of spec.disks)
    if (!word.test(serial) || serial.length > 20) refuse(`the disk serial ${serial} is not 1 to 20 letters, digits and dashes`);
  if (!/^[a-z0-9]{1,15}$/.test(spec.tap)) refuse(`${spec.tap} is no tap`);
  // sockaddr_un.sun_path holds 107 characters and an end (unix(7)).
  if (`${spec.folder}/qmp.sock`.length > 107) refuse(`the folder ${spec.folder} is too long for a Unix socket in it`);
};

/**
 * Boots the network first where `override` is `network`, else the disks in their order and the network after them.
 * The network card of a UEFI host has no ROM, so that OVMF's own PXE is used; the one of a BIOS host has QEMU's iPXE.
 */
export const qemuArguments = (spec: HostSpec, flash: Flash | undefined, override: 'network' | 'disk' | undefined): readonly string[] => {
  const [accelerator, cpu] = acceleratorOf(spec);
  const order = override === 'network' ? networkFirst : networkLast;
  return [
    ['-name', spec.name, '-machine', flash === undefined ? 'pc' : 'q35', '-accel', accelerator, '-cpu', cpu],
    ['-m', String(spec.memoryMiB), '-smp', String(spec.cpus), '-uuid', spec.uuid],
    ['-smbios', `type=1,manufacturer=Remuda,product=Lab,serial=${spec.serial},uuid=${spec.uuid}`],
    // A reset ends the process; the machine starts another one.
    ['-action', 'reboot=shutdown'],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none'],
    ['-chardev', `file,id=console,path=${quoted(spec.folder)}/serial.log,append=on`, '-serial', 'chardev:console'],
    ['-qmp', `unix:${quoted(spec.folder)}/qmp.sock,server=on,wait=off`],
    flash === undefined ? [] : flashArguments(flash),
    ...spec.disks.map(diskArguments),
    ['-netdev', `tap,id=net0,ifname=${spec.tap},script=no,downscript=no`],
    ['-device', `virtio-net-pci,id=nic0,netdev=net0,mac=${spec.mac},bootindex=${order}${flash === undefined ? '' : ',romfile='}`],
    ['-device', 'virtio-rng-pci'],
  ].flat();
};
