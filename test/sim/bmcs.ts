/** The BMCs of the simulated rack, every second one IPMI: what each is like by its seed, and the moods it has in bad weather. */
import { carryIpmi } from '../../src/lab/model/ipmi-carrier.ts';
import { ipmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import type { IpmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import type { IpmiQuirks } from '../../src/lab/model/ipmi-quirks.ts';
import type { BmcQuirks, HostQuirks } from '../../src/lab/model/quirks.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import type { RedfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import type { World } from '../../src/world/world.ts';
import type { Chance } from './chance.ts';
import type { Metal } from './metal.ts';
import type { Network, Party } from './network.ts';

/** In every BMC of the rack. */
export const bmcUser = 'root';
export const bmcPassword = 'bmc-password-hunter3';

export type Protocol = 'redfish' | 'ipmi';
export type SimBmc =
  | (RedfishBmc & { readonly protocol: 'redfish'; readonly url: string })
  | (IpmiBmc & { readonly protocol: 'ipmi'; readonly url: string });

const oneOf = <T>(chance: Chance, all: readonly T[]): T | undefined => all[chance.between(0, all.length - 1)];
const sometimes = <T extends object>(chance: Chance, probability: number, quirks: T): Partial<T> =>
  chance.chance(probability) ? quirks : {};

/** What a BMC is like all its life. A host behind it can be provisioned all the same. */
const hostNature = (chance: Chance): Partial<HostQuirks> => ({
  ...sometimes(chance, 0.4, { powerLag: chance.between(1, 3) }),
  ...sometimes(chance, 0.2, { bootOnceStays: true }),
  ...sometimes(chance, 0.3, { refusesBootChangeWhileOn: true }),
});
const ipmiNature = (chance: Chance): Partial<IpmiQuirks> => ({
  ...hostNature(chance),
  ...oneOf<Partial<IpmiQuirks>>(chance, [
    {},
    { suites: [3] },
    { suites: [17] },
    { brokenSuites: { 17: oneOf(chance, [0x11, 0x0a, 0x12, 0x09]) ?? 0x11 } },
    { hidesSuites: true },
  ]),
  ...sometimes(chance, 0.4, { refusesBootTimeout: true }),
  ...sometimes(chance, 0.3, { refusesAdmin: true }),
  ...sometimes(chance, 0.3, { refusesExtendedCapabilities: true }),
  ...sometimes(chance, 0.4, { refusesOffWhileOff: true }),
  ...sometimes(chance, 0.4, { needsEfiBit: true }),
  ...sometimes(chance, 0.2, { extraBootBytes: true }),
  ...sometimes(chance, 0.2, { skipsSequences: true }),
  ...sometimes(chance, 0.2, { garbage: true }),
  ...sometimes(chance, 0.2, { wrongChecksums: true }),
  ...sometimes(chance, 0.3, { deadAfterControlMs: chance.between(1000, 6000) }),
  lockoutAfter: 3,
});
const redfishNature = (chance: Chance): Partial<BmcQuirks> => ({
  ...hostNature(chance),
  ...oneOf<Partial<BmcQuirks>>(chance, [{}, {}, { requiresIfMatch428: true }, { weakEtag412: true }, { emptyEtag: true }]),
  ...sometimes(chance, 0.2, { noSessionService: true }),
  ...sometimes(chance, 0.2, { bootInSettings: true }),
  ...sometimes(chance, 0.2, { noBootMode: true }),
  ...sometimes(chance, 0.2, { extendedInfoObject: true }),
});

/** What passes. The seeds must have seen each of them. */
const hostMoods: readonly Partial<HostQuirks>[] = [
  { saysOnStaysOff: true },
  { ignoresPower: true },
  { acceptsAndForgetsBootOverride: true },
  { powerLag: 4 },
];
const ipmiMoods: readonly Partial<IpmiQuirks>[] = [
  ...hostMoods,
  { acceptsAndForgetsBootOverride: true },
  { busy: 2 },
  { losesRakp2: 1 },
  { losesRakp4: 1 },
  { losesReplies: 2 },
  { forgetsSessions: true },
  { sessionsFull: true },
  { halfReplies: true },
  { ignoresEfiBit: true },
  { slowMs: 3000 },
  { deadAfterControlMs: 20_000 },
  { wrongPassword: true },
];
const redfishMoods: readonly Partial<BmcQuirks>[] = [
  ...hostMoods,
  { unavailable503: 5 },
  { sessionsFull: true },
  { forgetsSessions: true },
  { halfJson: true },
  { slowMs: 3000 },
  { wrongPassword: true },
];

const moodName = (protocol: Protocol, mood: object): string => `${protocol}: ${Object.keys(mood)[0] ?? ''}`;
/** Of every mood. */
export const moodNames: readonly string[] = [
  ...new Set([...ipmiMoods.map((mood) => moodName('ipmi', mood)), ...redfishMoods.map((mood) => moodName('redfish', mood))]),
];

/** A BMC with what it is like and what it is like today. */
export class Moody {
  readonly bmc: SimBmc;
  readonly #nature: Readonly<Partial<IpmiQuirks & BmcQuirks>>;
  readonly #chance: Chance;
  readonly #healthy: Readonly<IpmiQuirks | BmcQuirks>;
  #armedAt: number | undefined;
  #isAway = false;

  constructor(bmc: SimBmc, chance: Chance, isCalm: boolean) {
    this.bmc = bmc;
    this.#chance = chance;
    const nature = bmc.protocol === 'ipmi' ? ipmiNature(chance) : redfishNature(chance);
    this.#nature = isCalm ? {} : nature;
    Object.assign(bmc.quirks, this.#nature);
    this.#healthy = { ...bmc.quirks };
  }
  /** Begins a mood with this probability; the one before it is mostly over. The name of the new one. */
  change(probability: number): string | undefined {
    if (this.#chance.chance(0.3) && !this.#isAway) this.heal();
    if (!this.#chance.chance(probability)) return undefined;
    const mood = oneOf<object>(this.#chance, this.bmc.protocol === 'ipmi' ? ipmiMoods : redfishMoods) ?? {};
    Object.assign(this.bmc.quirks, mood);
    return moodName(this.bmc.protocol, mood);
  }
  heal(): void {
    Object.assign(this.bmc.quirks, this.#healthy);
    this.#isAway = false;
  }
  /** Given the time at which its host's boot was last armed: it may go away at that worst of moments. When it has gone, for how many ms. */
  leaves(armedAt: number | undefined, probability: number): number | undefined {
    if (armedAt === undefined || armedAt === this.#armedAt) return undefined;
    this.#armedAt = armedAt;
    if (!this.#chance.chance(probability)) return undefined;
    this.#isAway = true;
    this.bmc.quirks.silent = true;
    return this.#chance.between(20_000, 100_000);
  }
  returns(): void {
    this.#isAway = false;
    this.bmc.quirks.silent = false;
  }
  silence(silent: boolean): void {
    this.bmc.quirks.silent = silent || this.#isAway;
  }
}

/** The BMC of a server, answering at its address. */
export const bmcOf = (metal: Metal, party: Party, world: World, at: { readonly network: Network; readonly protocol: Protocol }): SimBmc => {
  const { network, protocol } = at;
  const { random, clock } = world;
  const options = { name: party.name, machine: metal, username: bmcUser, password: bmcPassword, random, clock };
  if (protocol === 'ipmi') {
    const bmc = ipmiBmc(options);
    carryIpmi(bmc, network.udp(party, 623), clock);
    return { ...bmc, protocol, url: `ipmi://${party.address}` };
  }
  const bmc = redfishBmc(options);
  network.listen(party, { at: { address: party.address, port: 80 }, routes: bmc.routes });
  return { ...bmc, protocol, url: `http://${party.address}` };
};
