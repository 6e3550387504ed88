/** The lease decision: stories of single clients, then any number of them at once against the one law: no two share an address. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type Decision, decideLease, type LeaseRequest } from '../../src/dhcp/decide.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import { LeaseTable } from '../../src/dhcp/table.ts';
import { limits, type Limits } from '../../src/limits.ts';
import { type Cidr4, inCidr, type Ipv4, ipv4Number, type Mac, noAddress } from '../../src/wire/address.ts';
import { ip } from '../world/fake.ts';

const mac = (n: number): Mac => `52:54:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac;
const subnet: SubnetConfig = {
  interface: 'rack0',
  cidr: '10.77.0.0/24' as Cidr4,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip('10.77.0.50'), to: ip('10.77.0.53') },
  router: ip('10.77.0.51'),
  dns: [],
  leaseSeconds: 3600,
  reservations: [
    { mac: mac(0xa0), address: ip('10.77.0.52') },
    { mac: mac(0xa1), address: ip('10.77.0.200') },
  ],
};
const minute = 60_000;
const hour = 60 * minute;

/** One table and a clock; what is decided happens. */
class Rack {
  readonly table: LeaseTable;
  now = 1_000_000;
  constructor(changes: Partial<SubnetConfig> = {}, less: Partial<Limits> = {}) {
    this.table = new LeaseTable({ ...subnet, ...changes }, { ...limits, ...less });
  }
  does(request: Partial<LeaseRequest> & Pick<LeaseRequest, 'kind' | 'mac'>): Decision {
    this.table.sweep(this.now);
    const decision = decideLease(this.table, { known: false, clientAddress: noAddress, ...request }, this.now);
    this.table.apply(decision.changes);
    return decision;
  }
  says(request: Partial<LeaseRequest> & Pick<LeaseRequest, 'kind' | 'mac'>): string {
    const decision = this.does(request);
    if ('lease' in decision) return `${decision.outcome} ${decision.lease.address}`;
    return 'reason' in decision ? `${decision.outcome}: ${decision.reason}` : decision.outcome;
  }
  /** DISCOVER and REQUEST. */
  joins(request: Partial<LeaseRequest> & Pick<LeaseRequest, 'mac'>): Ipv4 | undefined {
    const offer = this.does({ ...request, kind: 'discover' });
    if (!('lease' in offer)) return undefined;
    const ack = this.does({ ...request, kind: 'request', requested: offer.lease.address, serverId: subnet.serverAddress });
    return 'lease' in ack && ack.outcome === 'ack' ? ack.lease.address : undefined;
  }
}
const select = (address: string) => ({ kind: 'request', requested: ip(address), serverId: subnet.serverAddress }) as const;
const reboot = (address: string) => ({ kind: 'request', requested: ip(address) }) as const;
const renew = (address: string) => ({ kind: 'request', clientAddress: ip(address) }) as const;

describe('a new client', () => {
  test('is offered an address and given it', () => {
    const rack = new Rack();
    assert.equal(rack.says({ kind: 'discover', mac: mac(1) }), 'offer 10.77.0.50');
    assert.equal(rack.says({ ...select('10.77.0.50'), mac: mac(1) }), 'ack 10.77.0.50');
    assert.equal(rack.table.offerCount, 0);
  });
  test('gets the one it asks for, if that is free', () => {
    const rack = new Rack();
    assert.equal(rack.says({ kind: 'discover', mac: mac(1), requested: ip('10.77.0.53') }), 'offer 10.77.0.53');
    assert.equal(rack.says({ kind: 'discover', mac: mac(2), requested: ip('10.77.0.53') }), 'offer 10.77.0.50');
    assert.equal(rack.says({ kind: 'discover', mac: mac(3), requested: ip('10.99.0.1') }), 'silent: no address is free');
  });
  test('never gets ours, the router, or one reserved for another', () => {
    const rack = new Rack();
    const given = [1, 2, 3, 4].map((n) => rack.joins({ mac: mac(n) }));
    assert.deepEqual(given, ['10.77.0.50', '10.77.0.53', undefined, undefined]);
  });
  test('gets the offer again while it is open, and another client does not', () => {
    const rack = new Rack();
    rack.does({ kind: 'discover', mac: mac(1) });
    assert.equal(rack.says({ kind: 'discover', mac: mac(1) }), 'offer 10.77.0.50');
    assert.equal(rack.says({ kind: 'discover', mac: mac(2) }), 'offer 10.77.0.53');
    assert.equal(rack.says({ ...select('10.77.0.50'), mac: mac(3) }), 'nak: the offer is no longer open');
    rack.now += limits.dhcpOfferHoldMs;
    assert.equal(rack.says({ kind: 'discover', mac: mac(3) }), 'offer 10.77.0.50');
  });
  test('took the offer of another server: ours is dropped', () => {
    const rack = new Rack();
    rack.does({ kind: 'discover', mac: mac(1) });
    assert.equal(
      rack.says({ kind: 'request', mac: mac(1), requested: ip('10.77.0.9'), serverId: ip('10.77.0.2') }),
      'silent: took the offer of another DHCP server, 10.77.0.2',
    );
    assert.equal(rack.table.offerCount, 0);
    assert.equal(rack.says({ kind: 'discover', mac: mac(2) }), 'offer 10.77.0.50');
  });
});

describe('a lease', () => {
  test('is renewed, and goes on from where it began', () => {
    const rack = new Rack();
    rack.joins({ mac: mac(1) });
    rack.now += 30 * minute;
    const renewed = rack.does({ ...renew('10.77.0.50'), mac: mac(1) });
    assert.ok('lease' in renewed);
    assert.deepEqual([renewed.outcome, renewed.lease.startsAt, renewed.lease.endsAt], ['ack', 1_000_000, rack.now + hour]);
  });
  test('that is over stays with its client until somebody else needs it, the oldest first', () => {
    const rack = new Rack();
    rack.joins({ mac: mac(1) });
    rack.now += minute;
    rack.joins({ mac: mac(2) });
    rack.now += 2 * hour;
    assert.equal(rack.says({ kind: 'discover', mac: mac(2) }), 'offer 10.77.0.53');
    assert.equal(rack.says({ kind: 'discover', mac: mac(3) }), 'offer 10.77.0.50');
  });
  test('that was released is free at once, and comes back to its client while nobody has it', () => {
    const rack = new Rack();
    rack.joins({ mac: mac(1) });
    assert.equal(
      rack.says({ kind: 'release', mac: mac(2), clientAddress: ip('10.77.0.50') }),
      'silent: RELEASE of an address it does not have',
    );
    assert.equal(rack.says({ kind: 'release', mac: mac(1), clientAddress: ip('10.77.0.50') }), 'released');
    assert.equal(rack.says({ kind: 'discover', mac: mac(1) }), 'offer 10.77.0.50');
    rack.does({ kind: 'request', mac: mac(1), serverId: ip('10.77.0.2') });
    rack.joins({ mac: mac(2) });
    assert.equal(rack.joins({ mac: mac(3) }), '10.77.0.50');
    assert.equal(rack.says({ ...renew('10.77.0.50'), mac: mac(1) }), 'nak: address of another client');
  });
  test('that was declined stays out of use for ten minutes', () => {
    const rack = new Rack();
    rack.joins({ mac: mac(1) });
    assert.equal(
      rack.says({ kind: 'decline', mac: mac(2), requested: ip('10.77.0.50') }),
      'silent: DECLINE of an address it does not have',
    );
    assert.equal(rack.says({ kind: 'decline', mac: mac(1), requested: ip('10.77.0.50') }), 'declined');
    assert.equal(rack.joins({ mac: mac(1) }), '10.77.0.53');
    assert.equal(rack.joins({ mac: mac(2) }), undefined);
    rack.now += limits.dhcpQuarantineMs - 1;
    assert.equal(rack.joins({ mac: mac(2) }), undefined);
    rack.now += 1;
    assert.equal(rack.joins({ mac: mac(2) }), '10.77.0.50');
  });
  test('lost with the store is taken back from the client that has it', () => {
    const rack = new Rack();
    assert.equal(rack.says({ ...renew('10.77.0.53'), mac: mac(1) }), 'ack 10.77.0.53');
    assert.equal(rack.says({ ...renew('10.77.0.99'), mac: mac(2) }), 'silent: no record of this lease');
  });
});

describe('refused only when we are sure', () => {
  const cases: readonly (readonly [string, Partial<LeaseRequest>, string])[] = [
    ['INIT-REBOOT with its own address', reboot('10.77.0.50'), 'ack 10.77.0.50'],
    ['INIT-REBOOT from another subnet', reboot('10.88.0.50'), 'nak: address of another subnet'],
    ['INIT-REBOOT with another address than ours', reboot('10.77.0.99'), 'nak: its address is 10.77.0.50'],
    ['INIT-REBOOT with the address of another', reboot('10.77.0.53'), 'nak: address of another client'],
    ['INIT-REBOOT with a reserved address', reboot('10.77.0.52'), 'nak: address of another client'],
    ['renewal with our own address', renew('10.77.0.1'), 'nak: address of another client'],
    ['REQUEST for nothing', { kind: 'request' }, 'silent: REQUEST for no address'],
    ['INFORM', { kind: 'inform', clientAddress: ip('10.77.0.9') }, 'inform'],
    ['INFORM from elsewhere', { kind: 'inform', clientAddress: ip('10.88.0.9') }, 'silent: INFORM from another subnet'],
  ];
  for (const [name, request, says] of cases) {
    test(name, () => {
      const rack = new Rack();
      rack.joins({ mac: mac(1) });
      rack.joins({ mac: mac(2) });
      assert.equal(rack.says({ kind: 'request', ...request, mac: mac(1) }), says);
    });
  }
  test('INIT-REBOOT of a stranger gets silence (RFC 2131 §4.3.2)', () =>
    assert.equal(new Rack().says({ ...reboot('10.77.0.50'), mac: mac(1) }), 'silent: no record of this lease'));
});

describe('identity', () => {
  const firmware = { mac: mac(1) };
  const ipxe = { mac: mac(1), clientId: '01525400000001' };
  const system = { mac: mac(1), clientId: 'ff0000000100030001525400000001' };
  test('a host of ours keeps one address through firmware, iPXE and operating system', () => {
    const rack = new Rack();
    const stages = [firmware, ipxe, system, firmware].map((stage) => rack.joins({ ...stage, known: true }));
    assert.deepEqual(stages, ['10.77.0.50', '10.77.0.50', '10.77.0.50', '10.77.0.50']);
    assert.equal(Array.from(rack.table.bindings()).length, 1);
  });
  test('a stranger is its client identifier, and becomes its MAC when we get to know it', () => {
    const rack = new Rack();
    assert.equal(rack.joins(ipxe), '10.77.0.50');
    assert.equal(rack.joins(system), '10.77.0.53');
    assert.equal(rack.says({ kind: 'discover', ...firmware, known: true }), 'offer 10.77.0.53');
    assert.equal(rack.says({ ...select('10.77.0.53'), ...firmware, known: true }), 'ack 10.77.0.53');
    assert.equal(rack.says({ ...renew('10.77.0.53'), ...system, known: true }), 'ack 10.77.0.53');
  });
  test('an offer stays its own when it becomes known in between', () => {
    const rack = new Rack();
    assert.equal(rack.says({ kind: 'discover', ...ipxe }), 'offer 10.77.0.50');
    assert.equal(rack.says({ ...select('10.77.0.50'), ...ipxe, known: true }), 'ack 10.77.0.50');
  });
  test('two machines from one cloned disk send one identifier and still get two addresses', () => {
    const rack = new Rack();
    const cloned = { clientId: '00aa' };
    assert.equal(rack.joins({ ...cloned, mac: mac(1) }), '10.77.0.50');
    assert.equal(rack.joins({ ...cloned, mac: mac(2) }), '10.77.0.53');
    assert.equal(rack.says({ ...renew('10.77.0.50'), ...cloned, mac: mac(1) }), 'ack 10.77.0.50');
    assert.equal(rack.says({ ...renew('10.77.0.53'), ...cloned, mac: mac(2) }), 'ack 10.77.0.53');
  });
  test('a replaced network card takes over the address once its lease is over', () => {
    const rack = new Rack();
    rack.joins({ clientId: '00aa', mac: mac(1) });
    rack.now += 2 * hour;
    assert.equal(rack.joins({ clientId: '00aa', mac: mac(2) }), '10.77.0.50');
  });
  test('a reservation, in the pool or outside of it', () => {
    const rack = new Rack();
    assert.equal(rack.joins({ mac: mac(0xa0) }), '10.77.0.52');
    assert.equal(rack.joins({ mac: mac(0xa1), clientId: '00' }), '10.77.0.200');
    assert.equal(rack.says({ ...select('10.77.0.200'), mac: mac(1) }), 'nak: the offer is no longer open');
  });
});

describe('limits', () => {
  const wide = { pool: { from: ip('10.77.0.50'), to: ip('10.77.0.99') } };
  test('open offers', () => {
    const rack = new Rack(wide, { dhcpOffersMax: 2 });
    assert.deepEqual(
      [1, 2, 3].map((n) => rack.says({ kind: 'discover', mac: mac(n) })),
      ['offer 10.77.0.50', 'offer 10.77.0.53', 'silent: too many offers are open'],
    );
    assert.equal(rack.says({ kind: 'discover', mac: mac(2) }), 'offer 10.77.0.53');
    rack.now += limits.dhcpOfferHoldMs;
    assert.equal(rack.says({ kind: 'discover', mac: mac(3) }), 'offer 10.77.0.50');
  });
  test('strangers: beyond their number each takes the place of an expired one; our hosts are not counted', () => {
    const rack = new Rack(wide, { dhcpUnknownClientsMax: 2 });
    assert.equal(rack.joins({ mac: mac(1) }), '10.77.0.50');
    rack.now += minute;
    assert.equal(rack.joins({ mac: mac(2) }), '10.77.0.53');
    assert.equal(rack.joins({ mac: mac(3) }), undefined);
    assert.equal(rack.says({ ...renew('10.77.0.60'), mac: mac(3) }), 'silent: no record of this lease');
    assert.equal(rack.joins({ mac: mac(4), known: true }), '10.77.0.54');
    rack.now += 2 * hour;
    assert.equal(rack.joins({ mac: mac(3) }), '10.77.0.50');
    assert.equal(rack.table.unknownCount, 2);
  });
});

/** A step of the crowd: a machine (with or without an identifier, perhaps one that another has too) says something, or time passes. */
const step = fc.record({
  kind: fc.constantFrom('discover', 'select', 'select', 'reboot', 'renew', 'decline', 'release', 'wait' as const),
  machine: fc.nat(7),
  clientId: fc.constantFrom(undefined, '00aa', '00bb'),
  known: fc.boolean(),
  address: fc.integer({ min: 48, max: 55 }),
  waitMs: fc.constantFrom(1000, minute, 30 * minute, hour),
});
test('whatever they say: no two living machines share an address, none is outside pool and reservations', () => {
  let acks = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const rack = new Rack();
      const living = new Map<Ipv4, { readonly mac: Mac; readonly until: number }>();
      const offered = new Map<Mac, Ipv4>();
      for (const { kind, machine, clientId, known, address, waitMs } of steps) {
        if (kind === 'wait') {
          rack.now += waitMs;
          continue;
        }
        const who = { mac: mac(machine === 7 ? 0xa0 : machine), ...(clientId === undefined ? {} : { clientId }), known };
        const wish = ip(`10.77.0.${address}`);
        const requests: Record<typeof kind, LeaseRequest> = {
          discover: { kind: 'discover', ...who, requested: wish, clientAddress: noAddress },
          select: { ...select(offered.get(who.mac) ?? wish), ...who, clientAddress: noAddress },
          reboot: { ...reboot(wish), ...who, clientAddress: noAddress },
          renew: { ...renew(wish), ...who },
          decline: { kind: 'decline', ...who, requested: wish, clientAddress: noAddress },
          release: { kind: 'release', ...who, clientAddress: wish },
        };
        const decision = rack.does(requests[kind]);
        if (decision.outcome === 'released' || decision.outcome === 'declined') living.delete(wish);
        if (!('lease' in decision)) continue;
        // A machine that takes another address has given up the one it had; nobody can give up that of another.
        for (const change of decision.changes) {
          if (change.kind !== 'free') continue;
          const before = living.get(change.address);
          assert.ok(
            before === undefined || before.mac === who.mac || before.until <= rack.now,
            `${change.address} was taken from ${before?.mac}`,
          );
          living.delete(change.address);
        }
        const lease = decision.lease;
        const other = living.get(lease.address);
        assert.ok(
          other === undefined || other.mac === lease.mac || other.until <= rack.now,
          `${lease.address} is of ${other?.mac}, given to ${lease.mac}`,
        );
        assert.ok(inCidr(subnet.cidr, lease.address) && lease.address !== subnet.serverAddress && lease.address !== subnet.router);
        const isReserved = lease.mac === mac(0xa0) ? lease.address === '10.77.0.52' : lease.address !== '10.77.0.52';
        const inPool = ipv4Number(lease.address) >= ipv4Number(subnet.pool.from) && ipv4Number(lease.address) <= ipv4Number(subnet.pool.to);
        assert.ok(inPool && (isReserved || lease.mac === mac(0xa0)), lease.address);
        if (decision.outcome === 'offer') offered.set(lease.mac, lease.address);
        else {
          acks++;
          living.set(lease.address, { mac: lease.mac, until: lease.endsAt });
        }
      }
    }),
    { numRuns: 600 },
  );
  assert.ok(acks > 1000, 'enough leases were given, or nothing was proved');
});
