/** A host that is a QEMU process: power on starts it, power off ends it, a reset changes it for a new one, and its boot order is the disk's but for one boot. */
import { turns } from '../../bmc/turns.ts';
import { RemudaError, reasonOf } from '../../errors.ts';
import type { Mac, Uuid } from '../../wire/address.ts';
import type { LabProcess, LabWorld } from '../../world/lab-world.ts';
import type { Machine } from '../model/machine.ts';
import { checkSpec, qemuArguments } from './arguments.ts';
import type { Flash, HostSpec } from './arguments.ts';
import { prepareFlash } from './flash.ts';
import { forgetProcess, recordProcess } from './pid.ts';
import { openQmp } from './qmp.ts';
import type { Qmp } from './qmp.ts';

const program = 'qemu-system-x86_64';
/** How long QEMU may take until its monitor answers; it needs 0.1 s, and seconds where many start at once. */
const startMs = 10_000;
/** How long `quit` may take before the process is killed, and how long a killed one may take to be gone. */
const quitMs = 2_000;
/** OVMF says its first words within 3 s, on a busy machine within 20. */
const silentMs = 60_000;

export interface QemuMachine extends Machine {
  readonly spec: HostSpec;
  /** The monitor while it is on. */
  readonly monitor: Qmp | undefined;
  /** The process while it is on. */
  readonly pid: number | undefined;
}

interface Running {
  readonly process: LabProcess;
  readonly ended: Promise<void>;
  monitor: Qmp | undefined;
  /** It ends because its guest (or somebody at the monitor) asked for a reset. */
  resets: boolean;
  /** Where the boot after that reset begins; as the mainboard is set unless said. */
  override?: 'network' | 'disk' | undefined;
}

class QemuHost implements QemuMachine {
  readonly spec: HostSpec;
  readonly #lab: LabWorld;
  readonly #turn = turns();
  #running: Running | undefined;
  /** Between the process that a reset ended and the one that takes its place: the power stays on. */
  #resetting = false;

  constructor(lab: LabWorld, spec: HostSpec) {
    this.#lab = lab;
    this.spec = spec;
  }

  get uuid(): Uuid {
    return this.spec.uuid;
  }
  get serial(): string {
    return this.spec.serial;
  }
  get macs(): readonly Mac[] {
    return [this.spec.mac];
  }
  get firmware(): 'bios' | 'uefi' {
    return this.spec.firmware;
  }
  get memoryMiB(): number {
    return this.spec.memoryMiB;
  }
  get cpus(): number {
    return this.spec.cpus;
  }
  get monitor(): Qmp | undefined {
    return this.#running?.monitor;
  }
  get pid(): number | undefined {
    return this.#running?.process.pid;
  }

  power(): 'on' | 'off' {
    return this.#running === undefined && !this.#resetting ? 'off' : 'on';
  }

  turnOn(override: 'network' | 'disk' | undefined): Promise<void> {
    return this.#turn(async () => {
      if (this.power() === 'off') await this.#boot(override);
    });
  }

  turnOff(): Promise<void> {
    return this.#turn(async () => {
      this.#resetting = false;
      if (this.#running !== undefined) await this.#end(this.#running);
    });
  }

  async pressButton(): Promise<void> {
    await this.#running?.monitor?.run('system_powerdown');
  }

  async #boot(override: 'network' | 'disk' | undefined): Promise<void> {
    const said = await this.#said();
    const running = await this.#start(override);
    if (this.spec.firmware === 'uefi' && this.spec.accel === 'tcg') this.#watch(running, said, override);
    try {
      running.monitor = await this.#connect(running);
      running.monitor.events(({ name, data }) => {
        if (name === 'SHUTDOWN' && String(data['reason']).endsWith('reset')) running.resets = true;
      });
    } catch (error) {
      await this.#end(running);
      throw error;
    }
  }

  /**
   * A reset is a new process with the permanent boot order: an override is good for one boot. (An emulator that resets in place also boots
   * slowly: under TCG SeaBIOS and GRUB needed 6.4 s of CPU instead of 4.4, as they write over pages that it holds translated.)
   */
  #reset(override?: 'network' | 'disk'): void {
    this.#resetting = true;
    void this.#turn(async () => {
      if (!this.#resetting) return;
      try {
        await this.#boot(override);
      } catch (error) {
        this.#lab.log.warn('a host did not come back from its reset', { host: this.spec.name, reason: reasonOf(error) });
      } finally {
        this.#resetting = false;
      }
    });
  }

  /** How much was said on its console so far, in all its boots. */
  async #said(): Promise<number> {
    return (await this.#lab.files.stat(`${this.spec.folder}/serial.log`))?.sizeBytes ?? 0;
  }

  /**
   * Without KVM a QEMU now and then (once in some thirty starts of a busy machine) never comes to the first line of the UEFI firmware; the
   * cause was not found. It is the emulator's fault, so the same boot is begun anew here, before anybody who judges real servers sees it.
   */
  #watch(running: Running, saidBefore: number, override: 'network' | 'disk' | undefined): void {
    const look = async (): Promise<void> => {
      const isSilent = (await this.#said()) === saidBefore;
      if (!isSilent || this.#running !== running) return;
      this.#lab.log.warn('a virtual server said nothing since it was switched on; it is started again', { host: this.spec.name });
      running.resets = true;
      running.override = override;
      running.process.kill('SIGKILL');
    };
    const cancel = this.#lab.clock.after(silentMs, () => void look());
    void running.ended.then(cancel);
  }

  async #start(override: 'network' | 'disk' | undefined): Promise<Running> {
    const { processes, files } = this.#lab;
    const { folder, firmware, namespace } = this.spec;
    await files.makeFolder(folder);
    await files.remove(`${folder}/qmp.sock`);
    await files.remove(`${folder}/qemu.log`);
    const flash: Flash | undefined = firmware === 'uefi' ? await prepareFlash(this.#lab, folder) : undefined;
    const inside = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
    const [command = program, ...args] = [...inside, program, ...qemuArguments(this.spec, flash, override)];
    const process = await processes.spawn(command, args, { stderr: { file: `${folder}/qemu.log` } });
    const running: Running = { process, monitor: undefined, resets: false, ended: process.wait().then(() => this.#ended(running)) };
    this.#running = running;
    await recordProcess(this.#lab, folder, process.pid);
    return running;
  }

  /** A host that shut itself down, or whose QEMU died, is off. */
  async #ended(running: Running): Promise<void> {
    running.monitor?.close();
    await forgetProcess(this.#lab, this.spec.folder, running.process.pid);
    if (this.#running !== running) return;
    this.#running = undefined;
    if (running.resets) this.#reset(running.override);
  }

  /** QEMU opens its monitor's socket a little after it began to run. */
  async #connect(running: Running): Promise<Qmp> {
    const { clock, streams, signal } = this.#lab;
    const until = clock.now() + startMs;
    for (;;) {
      if (this.#running !== running) throw await this.#diedAtStart();
      try {
        return await openQmp(await streams.connectLines(`${this.spec.folder}/qmp.sock`), clock);
      } catch (error) {
        if (clock.now() > until) throw error;
      }
      await clock.sleep(20, signal);
    }
  }

  async #diedAtStart(): Promise<RemudaError> {
    const log = `${this.spec.folder}/qemu.log`;
    const words = await this.#lab.files.read(log).then(
      (bytes) => new TextDecoder().decode(bytes.subarray(-2000)).trim(),
      (error: unknown) => reasonOf(error),
    );
    return new RemudaError('internal', `QEMU of host ${this.spec.name} ended at once: ${words}`, { values: { host: this.spec.name, log } });
  }

  /** First `quit`, so that its disks are closed in order; a kernel kills what does not listen. */
  async #end(running: Running): Promise<void> {
    const asked = running.monitor?.run('quit').catch(() => undefined);
    if (asked !== undefined && (await this.#endsWithin(running, quitMs))) return;
    running.process.kill('SIGKILL');
    if (await this.#endsWithin(running, quitMs)) return;
    throw new RemudaError(
      'bmc-ignored',
      `QEMU of host ${this.spec.name} (process ${running.process.pid}) does not end, not even by SIGKILL`,
      {
        values: { host: this.spec.name, pid: running.process.pid },
      },
    );
  }

  async #endsWithin(running: Running, ms: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const cancel = this.#lab.clock.after(ms, () => late.resolve(false));
    const ended = await Promise.race([running.ended.then(() => true), late.promise]);
    cancel();
    return ended;
  }
}

/** A host that is off. Throws `bad-config` for a spec that QEMU would misread. */
export const qemuMachine = (lab: LabWorld, spec: HostSpec): QemuMachine => {
  checkSpec(spec);
  return new QemuHost(lab, spec);
};
