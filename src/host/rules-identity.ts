/** What is said of a host and how it is known again: people describe it, its BMC and its agent name its MACs, the wire only proposes. */
import type { Mac } from '../wire/address.ts';
import { limits } from '../limits.ts';
import { change, inState, refuse, same, withFacts, fresh } from './events.ts';
import type { Rules, TakenMark } from './events.ts';
import { nothingNoted, openBoot } from './host.ts';
import type { Host, IdentityNotes, MacProposal } from './host.ts';
import { macsOf, sameUuid, tellingSerial, tellingUuid } from './identity.ts';
import { changesBetween, patched } from './profile.ts';

const notesOf = (host: Host): IdentityNotes => host.identity ?? nothingNoted;
const isTaken = (taken: readonly TakenMark[] | undefined, what: TakenMark['what']): boolean =>
  (taken ?? []).some((one) => one.what === what);

const retire = (notes: IdentityNotes, macs: readonly Mac[], at: number, why: string): IdentityNotes => ({
  ...notes,
  retired: [...notes.retired.filter(({ mac }) => !macs.includes(mac)), ...macs.map((mac) => ({ mac, at, why }))].slice(
    -limits.retiredMacsMax,
  ),
});
/** The host has this MAC from now on: nothing else is noted of it. */
const adopt = (notes: IdentityNotes, macs: readonly Mac[]): IdentityNotes => ({
  proposals: notes.proposals.filter(({ mac }) => !macs.includes(mac)),
  refused: notes.refused.filter((mac) => !macs.includes(mac)),
  retired: notes.retired.filter(({ mac }) => !macs.includes(mac)),
});

/** The BMC has denied it, but that is some time ago, and here it is again. */
export const mayAskAgain = ({ asked, askedAt }: MacProposal, now: number): boolean =>
  asked >= limits.stepTries && now >= askedAt + limits.macAskAgainMs;

/** What a trusted source lists now, and what the same source listed the last time. */
interface Listing {
  readonly listed: readonly Mac[];
  readonly before: readonly Mac[];
  readonly taken: readonly TakenMark[] | undefined;
  readonly now: number;
  readonly source: string;
}
/**
 * New MACs of a trusted source are the host's. One that this source listed before and lists no more has been replaced, but only where
 * another came in the same breath: a BMC that lists less while the power is off, or a driver that did not load, costs no host its name.
 */
const withMacs = (host: Host, { listed, before, taken, now, source }: Listing): { readonly part: Partial<Host>; readonly said: string } => {
  const notes = notesOf(host);
  const others = new Set((taken ?? []).filter(({ what }) => what === 'mac').map(({ value }) => value));
  const added = listed.filter((mac) => !host.macs.includes(mac) && !others.has(mac) && !notes.refused.includes(mac));
  const gone = added.length === 0 ? [] : before.filter((mac) => host.macs.includes(mac) && !listed.includes(mac));
  const macs = [...host.macs.filter((mac) => !gone.includes(mac)), ...added].slice(0, limits.hostMacsMax);
  const next = gone.length === 0 ? adopt(notes, added) : retire(adopt(notes, added), gone, now, `replaced, says the ${source}`);
  const conflicts = (taken ?? []).map(({ what, value, host: other }) => `${what} ${value} is that of ${other}: not taken`);
  const said = [
    ...(added.length === 0 || before.length === 0 ? [] : [`new MAC ${added.join(', ')}`]),
    ...(gone.length === 0 ? [] : [`${gone.join(', ')} is there no more and is retired`]),
    ...conflicts,
  ];
  const isPlain = host.identity === undefined && gone.length === 0;
  return { part: { macs, ...(isPlain ? {} : { identity: next }) }, said: said.map((one) => `; ${one}`).join('') };
};

export const identityRules: Rules<
  'described' | 'bmc-set' | 'identified' | 'inventory' | 'mac-proposed' | 'mac-asked' | 'mac-adopted' | 'mac-removed' | 'mac-refused'
> = {
  described: (host, event, now) => {
    const profile = patched(host.profile, event.patch);
    const changes = [
      ...changesBetween(host.profile, profile),
      ...(event.serial === undefined || event.serial === host.serial
        ? []
        : [`serial: ${host.serial ?? 'none'} → ${event.serial ?? 'none'}`]),
      ...(event.uuid === undefined || event.uuid === host.uuid ? [] : [`uuid: ${host.uuid ?? 'none'} → ${event.uuid ?? 'none'}`]),
    ];
    if (changes.length === 0) return same(host);
    const part = {
      profile,
      ...(event.serial === undefined ? {} : { serial: event.serial }),
      ...(event.uuid === undefined ? {} : { uuid: event.uuid }),
    };
    return change(host, part, now, { text: `described by ${event.by}: ${changes.join('; ')}`, data: { changes } });
  },
  'bmc-set': (host, event, now) => {
    const { bmc, by } = event;
    if (JSON.stringify(bmc) === JSON.stringify(host.bmc)) return same(host);
    const isOther =
      bmc === null || host.bmc === null || (['protocol', 'url', 'system'] as const).some((key) => bmc[key] !== host.bmc?.[key]);
    // A BMC that was never asked may stand in front of another machine: it is asked who it is before anything else.
    const part = { bmc, attempt: null, ...(isOther ? { identified: null, ...withFacts(host, { power: 'unknown', powerAt: now }) } : {}) };
    if (bmc === null) return change(host, part, now, { text: `BMC taken away by ${by}: its power is pressed by hand from now on` });
    return change(host, part, now, {
      text: `BMC ${isOther ? 'is now' : 'is still'} ${bmc.protocol} ${bmc.url} as ${bmc.username}, set by ${by}`,
    });
  },
  identified: (host, event, now) => {
    const uuid = tellingUuid(event.uuid);
    const serial = tellingSerial(event.serial);
    const identified = {
      ...(event.vendor === undefined ? {} : { vendor: event.vendor }),
      ...(event.model === undefined ? {} : { model: event.model }),
      ...(event.serial === undefined ? {} : { serial: event.serial }),
      ...(uuid === undefined ? {} : { uuid }),
      macs: event.macs,
      at: now,
    };
    const { part, said } = withMacs(host, {
      listed: event.macs,
      before: host.identified?.macs ?? [],
      taken: event.taken,
      now,
      source: 'BMC',
    });
    const asked = (part.identity ?? notesOf(host)).proposals;
    const notes =
      asked.length === 0
        ? {}
        : {
            identity: {
              ...(part.identity ?? notesOf(host)),
              proposals: asked.map((one) => ({ ...one, asked: one.asked + 1, missed: 0, askedAt: now })),
            },
          };
    const isUuidOurs = uuid !== undefined && !isTaken(event.taken, 'uuid') && (host.uuid === null || sameUuid(host.uuid, uuid));
    const known = {
      ...(isUuidOurs ? { uuid } : {}),
      ...(host.serial === null && serial !== undefined && !isTaken(event.taken, 'serial') ? { serial } : {}),
    };
    const who = [event.vendor, event.model, event.serial].filter((word) => word !== undefined).join(' ') || 'no description';
    const unconfirmed = asked.length === 0 ? '' : `; it does not name ${asked.map(({ mac }) => mac).join(', ')}`;
    return change(host, { ...part, ...notes, ...known, identified, attempt: null }, now, {
      text: `BMC answers: ${who}; MACs ${(part.macs ?? host.macs).join(', ') || 'none'}${said}${unconfirmed}`,
    });
  },
  inventory: (host, event, now) => {
    const boot = openBoot(host);
    if (boot?.redeemed === undefined || boot.number !== event.boot)
      return refuse('ticket-stale', `boot ${event.boot} of ${host.name} is over`);
    const { inventory } = event;
    const { disks, nics, cpu, memoryBytes, firmware } = inventory;
    const { part, said } = withMacs(host, {
      listed: macsOf(inventory),
      before: macsOf(host.inventory),
      taken: event.taken,
      now,
      source: 'agent',
    });
    const uuid = tellingUuid(inventory.uuid);
    const serial = tellingSerial(inventory.serial);
    const text = `hardware: ${cpu.cores} cores, ${Math.round(memoryBytes / 1024 / 1024)} MiB, ${disks.length} disks, ${nics.length} NICs, ${firmware}${said}`;
    const found = {
      ...part,
      inventory,
      firmware,
      boot: { ...boot, inventoryAt: now },
      ...(host.uuid === null && uuid !== undefined && !isTaken(event.taken, 'uuid') ? { uuid } : {}),
      ...(host.serial === null && serial !== undefined && !isTaken(event.taken, 'serial') ? { serial } : {}),
    };
    if (host.state !== 'inspecting') return change(host, found, now, { text });
    return change(host, { ...found, ...fresh, state: 'available', ...withFacts(host, { availableSince: now }) }, now, {
      text: `${text}; the host is available`,
    });
  },
  'mac-proposed': (host, event, now) => {
    const notes = notesOf(host);
    const { mac, uuid } = event;
    if (host.macs.includes(mac) || notes.refused.includes(mac)) return same(host);
    const known = notes.proposals.find((one) => one.mac === mac);
    if (known !== undefined) {
      if (!mayAskAgain(known, now)) return same(host);
      // A BMC may come to know a card only after the host has started with it.
      const again = notes.proposals.map((one) => (one === known ? { ...one, asked: limits.stepTries - 1 } : one));
      return { host: { ...host, identity: { ...notes, proposals: again } }, entries: [] };
    }
    // Whom the BMC has denied often enough makes room: strangers must not keep the true one out.
    const denied = notes.proposals.find((one) => one.asked >= limits.stepTries);
    const others = notes.proposals.length < limits.macProposalsMax ? notes.proposals : notes.proposals.filter((one) => one !== denied);
    if (others.length >= limits.macProposalsMax)
      return refuse('rate-limited', `${host.name} has ${notes.proposals.length} MACs waiting to be looked at: adopt or refuse them first`);
    const proposals = [...others, { mac, uuid, at: now, asked: 0, missed: 0, askedAt: 0 }];
    const next = host.bmc === null || host.state === 'discovered' ? 'adopt or refuse it' : 'its BMC is asked';
    return change(host, { identity: { ...notes, proposals } }, now, {
      text: `a machine with this host's UUID asks for an address from MAC ${mac}, which is not known to be its own: ${next}`,
      data: { mac, uuid },
    });
  },
  'mac-asked': (host, event, now) => {
    const notes = notesOf(host);
    if (notes.proposals.length === 0) return same(host);
    const isNews = notes.proposals.every(({ missed }) => missed === 0);
    const proposals = notes.proposals.map((one) => ({ ...one, missed: one.missed + 1, askedAt: now }));
    const part = { identity: { ...notes, proposals } };
    // Silence once more is not news.
    if (!isNews) return { host: { ...host, ...part }, entries: [] };
    return change(host, part, now, {
      text: `the BMC cannot be asked whether ${proposals.map(({ mac }) => mac).join(', ')} is this host's: ${event.reason}`,
      data: { code: event.code },
    });
  },
  'mac-adopted': (host, event, now) => {
    const notes = notesOf(host);
    if (host.macs.includes(event.mac)) return same(host);
    if (host.macs.length >= limits.hostMacsMax)
      return refuse('state-conflict', `host ${host.name} has ${host.macs.length} MACs already: remove one first`);
    return change(host, { macs: [...host.macs, event.mac], identity: adopt(notes, [event.mac]) }, now, {
      text: `MAC ${event.mac} adopted by ${event.by}`,
    });
  },
  'mac-removed': (host, event, now) => {
    if (!host.macs.includes(event.mac))
      return refuse('not-found', `host ${host.name} has no MAC ${event.mac}; it has ${host.macs.join(', ') || 'none'}`);
    const macs = host.macs.filter((mac) => mac !== event.mac);
    if (macs.length === 0 && host.bmc === null)
      return inState(host, 'another MAC or a BMC first: without either nobody can recognise the server');
    return change(host, { macs, identity: retire(notesOf(host), [event.mac], now, `removed by ${event.by}`) }, now, {
      text: `MAC ${event.mac} removed by ${event.by}`,
    });
  },
  'mac-refused': (host, event, now) => {
    const notes = notesOf(host);
    if (host.macs.includes(event.mac)) return refuse('state-conflict', `MAC ${event.mac} is one of ${host.name}: remove it`);
    const refused = [...notes.refused.filter((mac) => mac !== event.mac), event.mac].slice(-limits.retiredMacsMax);
    const proposals = notes.proposals.filter(({ mac }) => mac !== event.mac);
    return change(host, { identity: { ...notes, refused, proposals } }, now, {
      text: `${event.by} says that MAC ${event.mac} is another machine's`,
    });
  },
};
