/** A virtual IPMI 2.0 BMC as a pure function of datagrams: full enough for real clients, with the faults of real BMCs as switches. */
import { suiteRecords } from '../../bmc/ipmi/cipher-suites.ts';
import { closeSession, getChannelAuthentication, getChannelCipherSuites, setSessionPrivilege } from '../../bmc/ipmi/commands.ts';
import { seal, suites, unseal } from '../../bmc/ipmi/crypt.ts';
import { Completion, decodeMessage, encodeMessage, NetFn, responseMessage } from '../../bmc/ipmi/message.ts';
import type { Message } from '../../bmc/ipmi/message.ts';
import { decodeOpening, encodeOpening, Privilege } from '../../bmc/ipmi/opening.ts';
import { AsfType, decodePacket, openingPacket, outsidePacket, PayloadType, presencePong } from '../../bmc/ipmi/packet.ts';
import type { Packet, V20Packet } from '../../bmc/ipmi/packet.ts';
import type { Uuid } from '../../wire/address.ts';
import { DecodeError } from '../../wire/reader.ts';
import type { Clock, Random } from '../../world/world.ts';
import { HostControl } from './host-control.ts';
import type { Command } from './host-control.ts';
import { BootOptions } from './ipmi-boot.ts';
import { Chassis } from './ipmi-chassis.ts';
import { appCommands, chassisCommands, refused, served } from './ipmi-commands.ts';
import type { IpmiCommand, IpmiReply } from './ipmi-commands.ts';
import { noIpmiQuirks } from './ipmi-quirks.ts';
import type { IpmiQuirks } from './ipmi-quirks.ts';
import { IpmiSessions } from './ipmi-sessions.ts';
import type { IpmiSession } from './ipmi-sessions.ts';
import { storageCommands } from './ipmi-storage.ts';
import type { Machine } from './machine.ts';

export interface IpmiBmcOptions {
  /** Of the host it manages, for people. */
  readonly name: string;
  readonly machine: Machine;
  /** At most 16 characters. */
  readonly username: string;
  /** At most 20 characters. */
  readonly password: string;
  readonly random: Random;
  readonly clock: Clock;
  readonly quirks?: Partial<IpmiQuirks>;
}
export interface IpmiBmc {
  /** What goes back to the sender of this datagram; nothing where it is not understood. */
  answer(datagram: Uint8Array): readonly Uint8Array[];
  /** May be changed while it runs. */
  readonly quirks: IpmiQuirks;
  /** Commands that were taken, oldest first, in the same words as those of the Redfish BMC. */
  readonly commands: readonly Command[];
  /** Handshakes that were begun, and those that failed by the password. */
  readonly logins: { readonly started: number; readonly failed: number };
  openSessions(): number;
  /** The light that finds the server. */
  isLit(): boolean;
}

/** As SMBIOS lays a UUID out (DSP0134 §7.2.1), and most BMCs with it: the first three parts little-endian. */
const guidOf = (uuid: Uuid): Uint8Array => {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return new Uint8Array(bytes);
};
/** Nothing listens and nothing runs until its answers are carried. */
export const ipmiBmc = (options: IpmiBmcOptions): IpmiBmc => {
  const quirks: IpmiQuirks = { ...noIpmiQuirks, ...options.quirks };
  const bmc = new VirtualBmc(options, quirks);
  return {
    answer: (datagram) => bmc.answer(datagram),
    quirks,
    commands: bmc.control.commands,
    logins: bmc.sessions.logins,
    openSessions: () => bmc.sessions.size,
    isLit: () => bmc.chassis.light !== 0,
  };
};

const byNumber = (commands: readonly IpmiCommand[]): ReadonlyMap<number, IpmiCommand> =>
  new Map(commands.map((one) => [(one.netFn << 8) | one.command, one]));

class VirtualBmc {
  readonly control: HostControl;
  readonly chassis: Chassis;
  readonly sessions: IpmiSessions;
  readonly #quirks: IpmiQuirks;
  readonly #random: Random;
  /** What anybody may ask. */
  readonly #open: ReadonlyMap<number, IpmiCommand>;
  readonly #guarded: ReadonlyMap<number, IpmiCommand>;

  constructor(options: IpmiBmcOptions, quirks: IpmiQuirks) {
    const { machine, clock, random, username, password } = options;
    const guid = guidOf(machine.uuid);
    this.#quirks = quirks;
    this.#random = random;
    this.control = new HostControl(machine, quirks, clock);
    const boot = new BootOptions({ control: this.control, machine, quirks, clock });
    this.chassis = new Chassis({ control: this.control, boot, quirks, clock });
    this.sessions = new IpmiSessions({ username, password, guid, quirks, clock, random });
    const guarded = [...chassisCommands(this.chassis, boot), ...appCommands(guid), ...storageCommands(machine, clock)];
    // §22.14: the GUID is told without a session too.
    this.#open = byNumber([...openCommands(quirks), ...guarded.filter(({ privilege }) => privilege === Privilege.callback)]);
    this.#guarded = byNumber([...openCommands(quirks), ...guarded]);
  }

  answer(datagram: Uint8Array): readonly Uint8Array[] {
    if (this.chassis.isDead) this.sessions.closeAll();
    if (this.#quirks.silent || this.chassis.isDead) return [];
    try {
      return this.#answerPacket(decodePacket(datagram), datagram);
    } catch (error) {
      if (error instanceof DecodeError) return [];
      throw error;
    }
  }

  #answerPacket(packet: Packet, datagram: Uint8Array): readonly Uint8Array[] {
    if (packet.kind === 'asf') return packet.type === AsfType.ping ? [presencePong(packet.tag)] : [];
    if (packet.kind === 'v15') {
      const reply = this.#answerOutside(packet.message);
      return reply === undefined ? [] : [outsidePacket(reply)];
    }
    if (packet.session !== 0) return this.#answerInside(packet, datagram);
    if (packet.payload.type === PayloadType.ipmi) {
      const reply = this.#answerOutside(packet.data);
      return reply === undefined ? [] : [openingPacket(PayloadType.ipmi, reply)];
    }
    return this.#answerOpening(packet);
  }

  #answerOpening({ payload, data }: V20Packet): readonly Uint8Array[] {
    if (payload.type === PayloadType.openRequest) {
      const response = this.sessions.open(decodeOpening('openRequest', data));
      return [openingPacket(PayloadType.openResponse, encodeOpening('openResponse', response))];
    }
    if (payload.type === PayloadType.rakp1) {
      const rakp2 = this.sessions.rakp1(decodeOpening('rakp1', data));
      return rakp2 === undefined ? [] : [openingPacket(PayloadType.rakp2, encodeOpening('rakp2', rakp2))];
    }
    if (payload.type !== PayloadType.rakp3) return [];
    const rakp4 = this.sessions.rakp3(decodeOpening('rakp3', data));
    return rakp4 === undefined ? [] : [openingPacket(PayloadType.rakp4, encodeOpening('rakp4', rakp4))];
  }

  /** The message that answers one outside of any session. */
  #answerOutside(bytes: Uint8Array): Uint8Array | undefined {
    const request = decodeMessage(bytes);
    const command = this.#open.get((request.netFn << 8) | request.command);
    if (command?.netFn === NetFn.app && command.command === getChannelCipherSuites.command && this.#quirks.hidesSuites) return undefined;
    return this.#encoded(request, command === undefined ? refused(Completion.insufficientPrivilege) : command.run(request.data));
  }

  #answerInside(packet: V20Packet, datagram: Uint8Array): readonly Uint8Array[] {
    const session = this.sessions.get(packet.session);
    if (session === undefined || packet.payload.type !== PayloadType.ipmi) return [];
    const payload = unseal(session.keys, packet, datagram);
    if (!session.received.accept(packet.sequence)) return [];
    const request = decodeMessage(payload);
    this.sessions.wasUsed(session.id);
    const reply = this.#encoded(request, this.#runInside(session, request));
    const packets = [...(this.#quirks.garbage ? [this.#sealed(session, reply.subarray(0, 3))] : []), this.#sealed(session, reply)];
    // Between two calls, that is: a session that dies before it was used would be no session.
    const isItsOwn = request.netFn === NetFn.app && [closeSession.command, setSessionPrivilege.command].includes(request.command);
    if (this.#quirks.forgetsSessions && !isItsOwn) this.sessions.close(session.id);
    if (this.#quirks.losesReplies > 0) {
      this.#quirks.losesReplies -= 1;
      return [];
    }
    return this.#quirks.halfReplies ? packets.map((one) => one.subarray(0, one.length / 2)) : packets;
  }

  #runInside(session: IpmiSession, request: Message): IpmiReply {
    if (this.#quirks.busy > 0) {
      this.#quirks.busy -= 1;
      return refused(Completion.busy);
    }
    const number = (request.netFn << 8) | request.command;
    const command = sessionCommands(this.sessions, session, this.#quirks).get(number) ?? this.#guarded.get(number);
    if (command === undefined) return refused(Completion.invalidCommand);
    if (session.privilege < command.privilege) return refused(Completion.insufficientPrivilege);
    return command.run(request.data);
  }

  #encoded(request: Message, { code, data }: IpmiReply): Uint8Array {
    const bytes = encodeMessage(responseMessage(request, code, data));
    if (this.#quirks.wrongChecksums) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0xff;
    return bytes;
  }

  #sealed(session: IpmiSession, payload: Uint8Array): Uint8Array {
    session.sent += this.#quirks.skipsSequences && session.sent < 6 ? 2 : 1;
    const { consoleId, keys, sent } = session;
    return seal(keys, { session: consoleId, sequence: sent, type: PayloadType.ipmi, payload }, this.#random.bytes(16));
  }
}

/** §22.13 and §22.15: what a console asks before it has a session. */
const openCommands = (quirks: IpmiQuirks): readonly IpmiCommand[] => [
  served(getChannelAuthentication, Privilege.callback, ({ channel }) =>
    channel.v20 && quirks.refusesExtendedCapabilities
      ? Completion.invalidField
      : {
          channel: { number: 1 },
          // Sessions of IPMI v1.5 are not offered at all.
          types: { none: false, md2: false, md5: false, straight: false, oem: false, extended: true },
          status: { anonymous: false, nullUsers: false, namedUsers: true, userLevelOff: false, perMessageOff: false, needsKg: false },
          versions: { v15: false, v20: true },
          oem: 0,
          oemAuxiliary: 0,
          more: new Uint8Array(),
        },
  ),
  served(getChannelCipherSuites, Privilege.callback, ({ list }) => {
    const records = suiteRecords(quirks.suites.flatMap((id) => suites.get(id) ?? []));
    return { channel: 1, records: records.subarray(list.index * 16, list.index * 16 + 16) };
  }),
];

/** §22.18 and §22.19: what a console asks of its own session. */
const sessionCommands = (sessions: IpmiSessions, session: IpmiSession, quirks: IpmiQuirks): ReadonlyMap<number, IpmiCommand> =>
  byNumber([
    served(setSessionPrivilege, Privilege.callback, ({ privilege: { level } }) => {
      const tooHigh = level > session.privilegeMost || (quirks.refusesAdmin && level === Privilege.administrator);
      if (tooHigh) return Completion.privilegeLimited;
      if (level !== Privilege.highest) session.privilege = level;
      return { privilege: { level: session.privilege }, more: new Uint8Array() };
    }),
    served(closeSession, Privilege.callback, ({ session: id }) => {
      if (id !== session.id) return Completion.invalidSession;
      sessions.close(id);
      return { more: new Uint8Array() };
    }),
  ]);
