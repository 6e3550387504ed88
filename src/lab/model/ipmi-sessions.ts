/** The sessions of a virtual IPMI BMC: opened by a handshake that proves a password both ways (IPMI 2.0 §13.15 to §13.24), few, ended by silence. */
import { rakp2Code, rakp3Code, rakp4Code, sameCode, sessionKeys, suiteOf } from '../../bmc/ipmi/crypt.ts';
import type { Handshake, SessionKeys, Suite } from '../../bmc/ipmi/crypt.ts';
import { Privilege } from '../../bmc/ipmi/opening.ts';
import type { OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4 } from '../../bmc/ipmi/opening.ts';
import { SequenceWindow } from '../../bmc/ipmi/window.ts';
import type { Clock, Random } from '../../world/world.ts';
import type { IpmiQuirks } from './ipmi-quirks.ts';

/** As on many boards. */
const slots = 4;
/** §6.12.15: 60 s, give or take 3. */
const idleMs = 60_000;
const lockoutMs = 60_000;
/** Table 13-15. */
const status = { ok: 0x00, noSlot: 0x01, noSession: 0x02, badRole: 0x09, badName: 0x0d, badCode: 0x0f, noSuite: 0x11 } as const;

export interface SessionsOptions {
  readonly username: string;
  readonly password: string;
  readonly guid: Uint8Array;
  readonly quirks: IpmiQuirks;
  readonly clock: Clock;
  readonly random: Random;
}
/** A session that is open. */
export interface IpmiSession {
  readonly id: number;
  readonly consoleId: number;
  readonly keys: SessionKeys;
  readonly received: SequenceWindow;
  /** The last that was sent. */
  sent: number;
  readonly privilegeMost: number;
  privilege: number;
}
/** On its way: `handshake` once RAKP 1 came. */
interface Opening {
  readonly id: number;
  readonly consoleId: number;
  readonly suite: Suite;
  readonly privilegeMost: number;
  handshake?: Handshake;
}
interface Slot {
  readonly opening: Opening;
  session?: IpmiSession;
  usedAt: number;
}

export class IpmiSessions {
  /** Handshakes that came as far as RAKP 1, and those whose password was wrong. */
  readonly logins = { started: 0, failed: 0 };
  readonly #options: SessionsOptions;
  readonly #slots = new Map<number, Slot>();
  #failuresInRow = 0;
  #lockedUntil = Number.NEGATIVE_INFINITY;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** How many are open. */
  get size(): number {
    this.#expire();
    return [...this.#slots.values()].filter(({ session }) => session !== undefined).length;
  }

  /** Open Session Request (§13.17). The three algorithms must be one of the suites that are configured. */
  open({ tag, privilege, consoleSession, algorithms }: OpenRequest): OpenResponse {
    const { quirks } = this.#options;
    const refuse = (code: number): OpenResponse => ({ tag, status: code, privilege, reserved: 0, consoleSession, body: undefined });
    const suite = suiteOf(algorithms);
    if (suite === undefined || !quirks.suites.includes(suite.id)) return refuse(status.noSuite);
    const broken = quirks.brokenSuites[suite.id];
    if (broken !== undefined) return refuse(broken);
    this.#expire();
    if (quirks.sessionsFull || !this.#makeRoom()) return refuse(status.noSlot);
    const privilegeMost = privilege.level === Privilege.highest ? Privilege.administrator : privilege.level;
    const id = this.#newId();
    this.#slots.set(id, { opening: { id, consoleId: consoleSession, suite, privilegeMost }, usedAt: this.#options.clock.now() });
    return {
      tag,
      status: status.ok,
      privilege: { level: privilegeMost },
      reserved: 0,
      consoleSession,
      body: { managedSession: id, algorithms },
    };
  }

  /** RAKP 1 (§13.20); undefined where the answer is lost. The same one is not taken twice: whoever lost the answer begins anew. */
  rakp1(message: Rakp1): Rakp2 | undefined {
    const { quirks, username, random, guid } = this.#options;
    const slot = this.#slots.get(message.managedSession);
    const refuse = (code: number): Rakp2 => {
      this.#slots.delete(message.managedSession);
      return { tag: message.tag, status: code, reserved: 0, consoleSession: slot?.opening.consoleId ?? 0, body: undefined };
    };
    if (slot === undefined || slot.opening.handshake !== undefined) return refuse(status.noSession);
    this.logins.started += 1;
    const level = message.role & 0x0f;
    if (level === Privilege.highest || level > slot.opening.privilegeMost) return refuse(status.badRole);
    const isKnown = Buffer.from(message.username).toString('latin1') === username;
    if (!isKnown || this.#options.clock.now() < this.#lockedUntil) return refuse(status.badName);
    const { id, consoleId, suite } = slot.opening;
    const { consoleRandom, role } = message;
    const managedRandom = random.bytes(16);
    const password = Buffer.from(this.#password(), 'latin1');
    const shared = { suite, consoleSession: consoleId, managedSession: id, consoleRandom, managedRandom, guid, role };
    const handshake: Handshake = { ...shared, username: message.username, password };
    slot.opening.handshake = handshake;
    if (quirks.losesRakp2 > 0) {
      quirks.losesRakp2 -= 1;
      return undefined;
    }
    const body = { managedRandom, guid, code: rakp2Code(handshake) };
    return { tag: message.tag, status: status.ok, reserved: 0, consoleSession: consoleId, body };
  }

  /** RAKP 3 (§13.22); undefined where there is nothing to say. The session is open from then on. */
  rakp3({ tag, status: told, managedSession, code }: Rakp3): Rakp4 | undefined {
    const { quirks } = this.#options;
    const slot = this.#slots.get(managedSession);
    const handshake = slot?.opening.handshake;
    if (slot === undefined || handshake === undefined || slot.session !== undefined)
      return { tag, status: status.noSession, reserved: 0, consoleSession: 0, code: new Uint8Array() };
    const { id, consoleId } = slot.opening;
    if (told !== status.ok || !sameCode(code, rakp3Code(handshake))) {
      this.#slots.delete(managedSession);
      this.#failed();
      // §13.22: a console that gives up is not answered.
      return told === status.ok
        ? { tag, status: status.badCode, reserved: 0, consoleSession: consoleId, code: new Uint8Array() }
        : undefined;
    }
    this.#failuresInRow = 0;
    const privilegeMost = handshake.role & 0x0f;
    slot.session = {
      id,
      consoleId,
      keys: sessionKeys(handshake),
      received: new SequenceWindow(),
      sent: 0,
      privilegeMost,
      // §22.18: every session begins as a user's.
      privilege: Math.min(Privilege.user, privilegeMost),
    };
    if (quirks.losesRakp4 > 0) {
      quirks.losesRakp4 -= 1;
      return undefined;
    }
    return { tag, status: status.ok, reserved: 0, consoleSession: consoleId, code: rakp4Code(handshake) };
  }

  /** An open session; its idle time is not touched. */
  get(id: number): IpmiSession | undefined {
    this.#expire();
    return this.#slots.get(id)?.session;
  }

  /** Its idle time starts again. */
  wasUsed(id: number): void {
    const slot = this.#slots.get(id);
    if (slot !== undefined) slot.usedAt = this.#options.clock.now();
  }

  close(id: number): void {
    this.#slots.delete(id);
  }

  closeAll(): void {
    this.#slots.clear();
  }

  #password(): string {
    const { password, quirks } = this.#options;
    return quirks.wrongPassword ? Array.from(password).toReversed().join('').slice(1) : password;
  }

  #failed(): void {
    this.logins.failed += 1;
    this.#failuresInRow += 1;
    const { lockoutAfter } = this.#options.quirks;
    if (lockoutAfter === 0 || this.#failuresInRow < lockoutAfter) return;
    this.#failuresInRow = 0;
    this.#lockedUntil = this.#options.clock.now() + lockoutMs;
  }

  /** False where all slots hold open sessions; a handshake that was not finished gives way to a new one. */
  #makeRoom(): boolean {
    if (this.#slots.size < slots) return true;
    const unfinished = [...this.#slots.values()].find(({ session }) => session === undefined);
    return unfinished !== undefined && this.#slots.delete(unfinished.opening.id);
  }

  #newId(): number {
    for (;;) {
      const [a = 0, b = 0, c = 0, d = 0] = this.#options.random.bytes(4);
      const id = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      if (id !== 0 && !this.#slots.has(id)) return id;
    }
  }

  #expire(): void {
    const before = this.#options.clock.now() - idleMs;
    for (const [id, { usedAt }] of this.#slots) if (usedAt < before) this.#slots.delete(id);
  }
}
