/** What a virtual IPMI BMC stores: the label of its host (IPMI 2.0 §34), an event log without events (§31), a repository with the BMC itself (§33). */
import { getFruInfo, readFru } from '../../bmc/ipmi/commands.ts';
import { encodeFru } from '../../bmc/ipmi/fru.ts';
import { bmcAddress, Completion, NetFn } from '../../bmc/ipmi/message.ts';
import { Privilege } from '../../bmc/ipmi/opening.ts';
import type { Clock } from '../../world/world.ts';
import { done, refused, served } from './ipmi-commands.ts';
import type { IpmiCommand } from './ipmi-commands.ts';
import type { Machine } from './machine.ts';

/** "Requested sensor, data or record not present" (table 5-2). */
const notPresent = 0xcb;
/** At most so many bytes fit a message of the narrowest channels. */
const fruReadBytesMax = 64;
const maker = 'Remuda';

const fruOf = ({ serial }: Machine): Uint8Array =>
  encodeFru({
    chassis: { serial },
    board: { manufacturer: maker, product: 'Virtual board', serial },
    product: { manufacturer: maker, product: 'Virtual host', serial },
  });

/**
 * The one record of the repository, a management controller device locator (§43.9): ID 1, version 1.5, type, length; address, channel,
 * notifications, capabilities, three bytes reserved, entity (system board 1), OEM, name. ipmitool takes an empty repository for a broken one.
 */
const ownName = [...Buffer.from('BMC', 'latin1')];
const ownBody = [bmcAddress, 0, 0, 0x8e, 0, 0, 0, 0x07, 0x01, 0, 0xc0 | ownName.length, ...ownName];
const ownRecord = [0x01, 0x00, 0x51, 0x12, ownBody.length, ...ownBody];
/** Get SDR (§33.12): reservation and record in two bytes each, offset, count; the answer begins with the next record's ID, FFFFh after the last. */
const getSdr = ([, , low = 0, high = 0, offset = 0, count = 0xff]: Uint8Array): ReturnType<typeof done> => {
  const id = low | (high << 8);
  return id > 1 ? refused(notPresent) : done(0xff, 0xff, ...ownRecord.slice(offset, offset + count));
};

/** Of both logs (§31.2, §33.9): version 1.5 of the commands, so many entries, free bytes not told, never changed, can be reserved. */
const logInfo = (entries: number): ReturnType<typeof done> => done(0x51, entries, 0, ...new Uint8Array(10).fill(0xff), 0x02);
const reserved = done(1, 0);

const raw = (command: number, run: IpmiCommand['run']): IpmiCommand => ({ netFn: NetFn.storage, command, privilege: Privilege.user, run });

export const storageCommands = (machine: Machine, clock: Clock): readonly IpmiCommand[] => {
  const fru = fruOf(machine);
  return [
    served(getFruInfo, Privilege.user, ({ fru: device }) =>
      device === 0 ? { sizeBytes: fru.length, access: { inWords: false }, more: new Uint8Array() } : notPresent,
    ),
    served(readFru, Privilege.user, ({ fru: device, offset, count }) => {
      if (device !== 0) return notPresent;
      if (offset >= fru.length) return Completion.parameterOutOfRange;
      const data = fru.slice(offset, offset + Math.min(count, fruReadBytesMax));
      return { count: data.length, data };
    }),
    raw(0x20, () => logInfo(1)),
    raw(0x22, () => reserved),
    raw(0x23, getSdr),
    raw(0x40, () => logInfo(0)),
    raw(0x42, () => reserved),
    raw(0x43, () => refused(notPresent)),
    // Get SEL Time (§31.10): seconds since 1970.
    raw(0x48, () => done(...[0, 8, 16, 24].map((shift) => (Math.floor(clock.now() / 1000) >>> shift) & 0xff))),
  ];
};
