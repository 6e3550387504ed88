/** The iPXE script of one boot: kernel, ramdisk, and on the kernel's command line where the daemon is, how to know it, and the ticket. */

export interface ScriptParts {
  readonly hostName: string;
  readonly boot: number;
  readonly ticket: string;
  /** `http://10.77.0.1:7480` */
  readonly httpBase: string;
  /** `https://10.77.0.1:7443` */
  readonly agentBase: string;
  /** SHA-256 of the daemon's certificate, hex. */
  readonly fingerprint: string;
  /** Content hashes, so that a new ramdisk is a new URL. */
  readonly kernel: string;
  readonly initrd: string;
  readonly extraArguments: string;
}

/** A daemon that is started again under a host that loads is away for seconds; a host that gives up waits for minutes until it is booted again. */
const loadTries = 10;
/**
 * `initrd=` is for the EFI stub, `BOOTIF` tells the ramdisk which NIC booted (`${netX}` is the one iPXE used last).
 * Nothing here comes from a client; names are validated where they enter.
 */
export const bootScript = (parts: ScriptParts): string =>
  [
    '#!ipxe',
    `echo Remuda: ${parts.hostName}, boot ${parts.boot}`,
    'set tries:int32 0',
    ':load',
    [
      `kernel ${parts.httpBase}/files/${parts.kernel}/vmlinuz initrd=initrd.zst`,
      `remuda.server=${parts.agentBase} remuda.cert=${parts.fingerprint} remuda.ticket=${parts.ticket}`,
      `BOOTIF=01-\${netX/mac:hexhyp} console=tty0 console=ttyS0,115200 ${parts.extraArguments}`.trimEnd() + ' || goto again',
    ].join(' '),
    `initrd --name initrd.zst ${parts.httpBase}/files/${parts.initrd}/initrd.zst || goto again`,
    'boot || goto failed',
    ':again',
    'inc tries',
    `iseq \${tries} ${loadTries} && goto failed ||`,
    'echo Remuda: the kernel or the ramdisk did not load; once more in 3 s',
    'imgfree',
    'sleep 3',
    'goto load',
    ':failed',
    'echo Remuda: the kernel or the ramdisk did not load; booting on in 10 s',
    'sleep 10',
    'exit 1',
    '',
  ].join('\n');
