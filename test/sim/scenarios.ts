/** What people do with a rack: the scripted life of a server, and random days. */
import type { Host } from '../../src/host/host.ts';
import { toClaimJson, toHostJson } from '../../src/api/admin-json.ts';
import { encodeDhcp4 } from '../../src/dhcp/packet.ts';
import { everyone, ipv4From, noAddress, parseMac } from '../../src/wire/address.ts';
import type { Mac } from '../../src/wire/address.ts';
import { question, redemption } from './metal.ts';
import { heal } from './network.ts';
import { bmcPassword, secretWord } from './rack.ts';
import type { SimRack } from './rack.ts';

const minute = 60_000;
/** Asks again until what was asked for shows, as an operator's script does. */
export const until = async (rack: SimRack, shown: () => boolean, ask: () => void, withinMs = 30 * minute): Promise<boolean> => {
  let stop = false;
  const again = (): void => {
    if (stop || shown()) return;
    ask();
    rack.scheduler.at(5000, again);
  };
  rack.scheduler.at(0, again);
  const came = await rack.scheduler.run({ untilMs: withinMs, done: shown });
  stop = true;
  return came;
};
/** What failed or is held is looked at by the operator and tried again. */
const tend = (rack: SimRack): void => {
  for (const host of rack.daemon?.hosts() ?? []) {
    recognise(rack, host);
    if (host.held !== null) rack.unhold(host.name);
    else if (host.failed !== null) rack.retry(host.name);
    else if (host.profile.pool !== 'default') rack.pool(host.name, 'default');
  }
};
/** IPMI does not tell the cards of a host: where a MAC is proposed, the operator looks at the card, and adopts it where it is the host's. */
const recognise = (rack: SimRack, host: Host): void => {
  const cards = rack.metals.find(({ name }) => name === host.name)?.macs ?? [];
  for (const { mac } of host.identity?.proposals ?? [])
    if (cards.includes(mac)) {
      rack.scheduler.sometimes('an operator adopts a MAC');
      rack.adopt(host.name, mac);
    }
};

/** Enrol, claim, reprovision, release: the whole life of both servers. `step` is told after each. */
export const life = async (rack: SimRack): Promise<void> => {
  rack.start();
  const names = rack.metals.map((metal) => metal.name);
  const all = (test: (name: string) => boolean) => () => names.every(test);
  const state = (name: string): string => rack.host(name)?.state ?? '';
  const steps: [string, (name: string) => boolean, (name: string) => void][] = [
    ['enrolled and inspected', (name) => state(name) === 'available', (name) => rack.host(name) ?? rack.enrol(name)],
    [
      'provisioned',
      (name) => state(name) === 'provisioned' && rack.host(name)?.claim?.generation === 1,
      (name) => state(name) === 'available' && rack.claim(name, `c-${name}`, 'alpha'),
    ],
    [
      'reprovisioned',
      (name) => state(name) === 'provisioned' && rack.host(name)?.claim?.generation === 2,
      (name) => rack.host(name)?.claim?.generation === 1 && rack.reprovision(`c-${name}`, 'beta'),
    ],
    [
      'released',
      (name) => state(name) === 'available' && rack.host(name)?.claim === null,
      (name) => rack.host(name)?.claim && rack.release(`c-${name}`),
    ],
  ];
  for (const [what, shown, ask] of steps) {
    const came = await until(rack, all(shown), () => {
      tend(rack);
      for (const name of names) if (!shown(name)) ask(name);
    });
    if (!came)
      throw new Error(`never ${what}: ${names.map((name) => `${name} ${describe(rack, name)}`).join('; ')}\n${rack.scheduler.tail(60)}`);
    rack.scheduler.log(`*** ${what}`);
  }
  const last = rack.metals.map((metal) => metal.booted.at(-1));
  const wanted = rack.images.get('beta')?.digest;
  for (const [index, boot] of last.entries())
    if (boot?.digest !== wanted || boot?.hostName !== `${names[index]}-alpha`)
      throw new Error(`${names[index]} last ran ${JSON.stringify(boot)}`);
  for (const metal of rack.metals)
    if (metal.disks[0]?.isZero() !== true) throw new Error(`${metal.name} is available, but its disk is not clean`);
  await noSecrets(rack);
};
/** What the API would show of every host, and every line of every timeline: no user data, no password. */
export const noSecrets = async (rack: SimRack): Promise<void> => {
  const { daemon } = rack;
  if (daemon === undefined) return;
  for (const view of await daemon.rack.hosts()) {
    const rows = await daemon.rack.timeline(view.host.id, { most: 2000 });
    if (rows.length === 0) throw new Error(`${view.host.name} has no timeline`);
    const shown = JSON.stringify([toHostJson(view), toClaimJson(view), rows]);
    for (const secret of [secretWord, bmcPassword])
      if (shown.includes(secret)) throw new Error(`a secret is shown to whoever may look: ${shown}`);
  }
};
export const describe = (rack: SimRack, name: string): string => {
  const host = rack.host(name);
  return host === undefined
    ? 'unknown'
    : `${host.state} gen ${host.claim?.generation ?? '-'} ${host.failed?.reason ?? ''} ${host.held?.why ?? ''} ${JSON.stringify(host.attempt)} ${JSON.stringify(host.boot)}`;
};

/** A network card that nobody has seen before. */
const cardOf = (number: number): Mac => {
  const mac = parseMac(`52:54:00:78:00:${number.toString(16).padStart(2, '0')}`);
  if (mac === undefined) throw new Error(`card ${number} is one too many`);
  return mac;
};
/** A random day: an operator who changes his mind, in bad weather; then the weather heals and everything must come to rest. */
export const day = async (rack: SimRack): Promise<void> => {
  rack.start();
  const { chance, scheduler, network } = rack;
  let claims = 0;
  let cards = 0;
  let over = false;
  const claimIt = (name: string): void => {
    const image = chance.chance(0.5) ? 'alpha' : 'beta';
    const kind = chance.between(0, 9);
    if (kind < 4) {
      rack.claim(name, `c${++claims}-${name}`, image, chance.chance(0.2) ? { provisionTimeoutSeconds: chance.between(60, 180) } : {});
      if (!chance.chance(0.3)) return undefined;
      scheduler.sometimes('two claims meet at one host');
      return rack.claim(name, `c${++claims}-${name}`, 'beta');
    }
    scheduler.sometimes('a claim chooses its host');
    const more = chance.chance(0.3) ? { waitSeconds: chance.between(1, 60) } : {};
    rack.claimAny(`c${++claims}-any`, image, more);
    if (kind < 6) return undefined;
    if (kind === 9) {
      scheduler.sometimes('a host leaves its pool while somebody chooses it');
      return rack.pool(name, 'reserve', chance.between(0, 60));
    }
    scheduler.sometimes('several claims choose at once');
    rack.claimAny(`c${++claims}-any`, 'beta');
    return rack.claim(name, `c${++claims}-${name}`, 'alpha');
  };
  const act = (name: string): void => {
    const host = rack.host(name);
    if (host === undefined) return rack.enrol(name);
    if (host.identity?.proposals.length && chance.chance(0.5)) recognise(rack, host);
    if (host.held !== null) return chance.chance(0.3) ? rack.unhold(name) : undefined;
    if (host.failed !== null) return rack.retry(name);
    if (host.profile.pool !== 'default') return rack.pool(name, 'default');
    if (chance.chance(0.02)) return rack.hold(name);
    const claim = host.claim;
    if (claim === null) return host.state === 'available' ? claimIt(name) : undefined;
    if (chance.chance(0.05)) {
      scheduler.sometimes('a rival claims a claimed host');
      rack.claim(name, `rival${++claims}-${name}`, 'beta');
    }
    const restless = host.state === 'provisioned' ? 0.7 : 0.08;
    if (!chance.chance(restless)) return undefined;
    scheduler.sometimes(host.state === 'provisioned' ? 'a provisioned host is changed' : 'a host is changed while it is provisioned');
    return chance.chance(0.5) ? rack.reprovision(claim.id, chance.chance(0.5) ? 'alpha' : 'beta') : rack.release(claim.id);
  };
  const operator = (): void => {
    if (over) return;
    const metal = rack.metals[chance.between(0, rack.metals.length - 1)];
    if (metal !== undefined) act(metal.name);
    if (chance.chance(0.01) && metal !== undefined) {
      scheduler.sometimes('somebody presses the power button');
      void metal.pressButton();
    }
    if (chance.chance(0.02) && metal?.power() === 'off') {
      scheduler.sometimes('a NIC is replaced');
      metal.replaceNic(cardOf(++cards));
    }
    scheduler.at(chance.between(1000, 15_000), operator);
  };
  const tickets = new Set<string>();
  network.onCall = ({ url }) => {
    const [, ticket] = /\/boot\/([^/]+)$/.exec(url) ?? [];
    if (ticket !== undefined) tickets.add(ticket);
  };
  const weather = (): void => {
    if (over) return;
    if (chance.chance(0.1)) replay(rack, [...tickets]);
    if (chance.chance(0.02)) pretend(rack);
    if (rack.daemon !== undefined && chance.chance(network.faults.crash)) {
      scheduler.sometimes('the daemon crashes');
      rack.crash();
    }
    if (rack.daemon !== undefined && chance.chance(network.faults.stop)) {
      scheduler.sometimes('the daemon is asked to end');
      rack.terminate();
    }
    if (rack.daemon !== undefined && chance.chance(network.faults.reload)) {
      scheduler.sometimes('the configuration is read anew');
      rack.reload();
    }
    for (const mood of rack.moods) {
      const name = mood.change(network.faults.bmcMood);
      if (name !== undefined) scheduler.sometimes(name);
      const silent = chance.chance(network.faults.bmcSilence);
      if (silent) scheduler.sometimes('a BMC is silent');
      mood.silence(silent);
    }
    scheduler.at(2000, weather);
  };
  scheduler.at(100, operator);
  scheduler.at(3000, weather);
  scheduler.always(() => {
    if (over || network.faults.bmcMood === 0) return;
    const hosts = rack.daemon?.hosts() ?? [];
    for (const [index, mood] of rack.moods.entries()) {
      const boot = hosts.find(({ name }) => name === rack.metals[index]?.name)?.boot;
      const awayMs = boot?.poweredOnAt === undefined ? mood.leaves(boot?.armedAt, 0.2) : undefined;
      if (awayMs === undefined) continue;
      scheduler.sometimes('a BMC goes away after it took the boot flags');
      scheduler.at(awayMs, () => mood.returns());
    }
  });
  await scheduler.run({ untilMs: 12 * minute });
  over = true;
  heal(network.faults);
  for (const mood of rack.moods) mood.heal();
  const atRest = (): boolean =>
    rack.daemon !== undefined &&
    rack.metals.every((metal) => {
      const host = rack.host(metal.name);
      if (host === undefined) return true;
      return (
        host.held === null &&
        host.failed === null &&
        host.profile.pool === 'default' &&
        (host.state === 'provisioned' || host.state === 'available')
      );
    });
  if (!(await until(rack, atRest, () => tend(rack), 120 * minute)))
    throw new Error(`never at rest: ${rack.metals.map(({ name }) => `${name} ${describe(rack, name)}`).join('; ')}\n${scheduler.tail(80)}`);
  for (const metal of rack.metals) verify(rack, metal.name);
  await noSecrets(rack);
};
/** Somebody who has read the network shows a ticket of a boot that is over, from the very address it was for, with a key of his own. */
const replay = (rack: SimRack, tickets: readonly string[]): void => {
  const { chance, network, scheduler } = rack;
  const ticket = tickets[chance.between(0, tickets.length - 1)];
  const [id, boot, , address] = ticket?.split('.') ?? [];
  const host = rack.daemon?.hosts().find((one) => one.id === id);
  if (ticket === undefined || host === undefined || host.boot?.number === Number(boot)) return;
  scheduler.sometimes('a thief shows an old ticket');
  const thief = { name: 'thief', address: ipv4From(parseInt(address ?? '', 36)), signal: new AbortController().signal };
  const body = JSON.stringify(redemption(ticket, chance));
  network
    .call(thief, { method: 'POST', url: 'https://10.77.0.1:7443/agent/redeem', body, timeoutMs: 10_000, replyBytesMax: 1e5 })
    .then(({ status }) => scheduler.log(`thief hears ${status}`))
    .catch(() => undefined);
};
/** Somebody asks for a boot with the UUID of a host, which is no secret, from a card of his own. */
const pretend = (rack: SimRack): void => {
  const { chance, network, scheduler } = rack;
  const metal = rack.metals[chance.between(0, rack.metals.length - 1)];
  const mac = parseMac(`52:54:00:79:00:0${chance.between(0, 9)}`);
  if (metal === undefined || mac === undefined) return;
  scheduler.sometimes('a stranger shows the UUID of a host');
  const party = { name: 'stranger', mac, address: noAddress, wire: metal.party.wire, signal: new AbortController().signal };
  const { uuid, firmware } = metal;
  const socket = network.udp(party, 68);
  const asked = { id: chance.between(1, 0xffffffff), type: 1, more: {} };
  socket.send(encodeDhcp4(question({ name: 'stranger', uuid, firmware, macs: [mac], party }, 'firmware', asked)), {
    address: everyone,
    port: 67,
  });
  socket.close();
};
/** Every intent is reality: the claimed image runs, by the disk's own word; what is available is clean. */
const verify = (rack: SimRack, name: string): void => {
  const host = rack.host(name);
  const metal = rack.metal(name);
  if (host === undefined) return;
  if (host.state === 'available') {
    if (metal.disks[0]?.isZero() !== true) throw new Error(`${name} is available, but its disk is not clean`);
    return;
  }
  rack.scheduler.sometimes('a day ends provisioned');
  const image = [...rack.images.values()].find(({ digest }) => digest === host.claim?.intent.image);
  if (image === undefined || metal.booted.at(-1)?.digest !== image.digest)
    throw new Error(`${name} is provisioned with ${host.claim?.intent.imageName}, but ran ${JSON.stringify(metal.booted.at(-1))}`);
};
