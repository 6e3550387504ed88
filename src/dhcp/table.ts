/** Which client holds which address, in memory: bindings, tentative offers, quarantine. Asked by decideLease, changed only by `apply`. */
import { type Ipv4, ipv4From, ipv4Number, type Mac } from '../wire/address.ts';
import type { Limits } from '../limits.ts';
import type { Lease } from '../wire/words.ts';
import { type Assignable, assignableOf, type SubnetConfig } from './subnet.ts';

/** A lease, living or expired, and whose it is. */
export interface Binding extends Lease {
  /** `id:<hex>` of an unknown client with an identifier, else `mac:<mac>` (RFC 2131 §4.2). */
  readonly holder: string;
  readonly known: boolean;
}
/** An address held back for a client until it says REQUEST (RFC 2131 §4.3.1). One per MAC. */
export interface Offer {
  readonly address: Ipv4;
  readonly mac: Mac;
  readonly holder: string;
  /** ms since 1970 */
  readonly until: number;
}

/** What a decision does to the table; `bind` and `free` are to be made durable too. */
export type Change =
  | { readonly kind: 'offer'; readonly offer: Offer }
  | { readonly kind: 'drop-offer'; readonly mac: Mac }
  | { readonly kind: 'bind'; readonly binding: Binding }
  | { readonly kind: 'free'; readonly address: Ipv4 }
  | { readonly kind: 'quarantine'; readonly address: Ipv4; readonly until: number };

export type TableLimits = Pick<Limits, 'dhcpOffersMax' | 'dhcpOfferHoldMs' | 'dhcpUnknownClientsMax' | 'dhcpQuarantineMs'>;

/** The leases of one subnet. */
export class LeaseTable {
  readonly subnet: SubnetConfig;
  readonly limits: TableLimits;
  readonly assignable: Assignable;
  readonly #bindings = new Map<Ipv4, Binding>();
  readonly #byHolder = new Map<string, Ipv4>();
  /** The binding made last for a MAC, under whatever identifier. */
  readonly #byMac = new Map<Mac, Ipv4>();
  /** In the order in which they end, as all are held for the same time. */
  readonly #offers = new Map<Mac, Offer>();
  readonly #offered = new Map<Ipv4, Offer>();
  /** Until when (ms since 1970); in the order in which they end. */
  readonly #quarantine = new Map<Ipv4, number>();
  /** Pool addresses before this number have been used, and are bound, offered or in `#returned`. */
  #cursor: number;
  readonly #returned = new Set<Ipv4>();
  #unknownCount = 0;
  /** No binding ends before this, so that an exhausted pool is not searched in vain. */
  #earliestEnd = Number.POSITIVE_INFINITY;

  constructor(subnet: SubnetConfig, limits: TableLimits, formerly?: (mac: Mac) => readonly Mac[]) {
    this.subnet = subnet;
    this.limits = limits;
    this.assignable = assignableOf(subnet, formerly);
    this.#cursor = this.assignable.firstNumber;
  }

  /** Bindings of clients we do not know, living or expired. */
  get unknownCount(): number {
    return this.#unknownCount;
  }
  get offerCount(): number {
    return this.#offers.size;
  }
  bindings(): IterableIterator<Binding> {
    return this.#bindings.values();
  }
  bindingAt(address: Ipv4): Binding | undefined {
    return this.#bindings.get(address);
  }
  bindingOf(holder: string): Binding | undefined {
    const address = this.#byHolder.get(holder);
    return address === undefined ? undefined : this.#bindings.get(address);
  }
  bindingOfMac(mac: Mac): Binding | undefined {
    const address = this.#byMac.get(mac);
    return address === undefined ? undefined : this.#bindings.get(address);
  }
  offerTo(mac: Mac): Offer | undefined {
    return this.#offers.get(mac);
  }
  offerAt(address: Ipv4): Offer | undefined {
    return this.#offered.get(address);
  }
  isQuarantined(address: Ipv4, now: number): boolean {
    return (this.#quarantine.get(address) ?? now) > now;
  }

  /** A pool address that no binding remembers and `suits`: one given back, else the next one never used. */
  unused(suits: (address: Ipv4) => boolean): Ipv4 | undefined {
    for (const address of this.#returned) if (suits(address)) return address;
    for (let number = this.#cursor; number <= this.assignable.lastNumber; number++) {
      const address = ipv4From(number);
      if (!this.#bindings.has(address) && suits(address)) return address;
    }
    return undefined;
  }

  /** The address whose lease has been over for longest, of those that `suit`. */
  oldestExpired(now: number, suits: (binding: Binding) => boolean): Ipv4 | undefined {
    if (this.#earliestEnd > now) return undefined;
    let oldest: Binding | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const binding of this.#bindings.values()) {
      earliest = Math.min(earliest, binding.endsAt);
      if (binding.endsAt <= now && binding.endsAt < (oldest?.endsAt ?? Number.POSITIVE_INFINITY) && suits(binding)) oldest = binding;
    }
    this.#earliestEnd = earliest;
    return oldest?.address;
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#applyOne(change);
  }

  /** Forgets offers that nobody took up and quarantines that are over. */
  sweep(now: number): void {
    for (const offer of this.#offers.values()) {
      if (offer.until > now) break;
      this.#dropOffer(offer.mac);
    }
    for (const [address, until] of this.#quarantine) {
      if (until > now) break;
      this.#quarantine.delete(address);
    }
  }

  #applyOne(change: Change): void {
    switch (change.kind) {
      case 'offer':
        this.#dropOffer(change.offer.mac);
        this.#offers.set(change.offer.mac, change.offer);
        this.#offered.set(change.offer.address, change.offer);
        return this.#use(change.offer.address);
      case 'drop-offer':
        return this.#dropOffer(change.mac);
      case 'bind':
        return this.#bind(change.binding);
      case 'free':
        return this.#free(change.address);
      case 'quarantine':
        this.#quarantine.delete(change.address);
        this.#quarantine.set(change.address, change.until);
        return;
    }
  }

  #bind(binding: Binding): void {
    this.#forget(binding.address);
    this.#bindings.set(binding.address, binding);
    this.#byHolder.set(binding.holder, binding.address);
    this.#byMac.set(binding.mac, binding.address);
    if (!binding.known) this.#unknownCount++;
    this.#earliestEnd = Math.min(this.#earliestEnd, binding.endsAt);
    this.#use(binding.address);
  }

  #free(address: Ipv4): void {
    this.#forget(address);
    this.#giveBack(address);
  }

  #forget(address: Ipv4): void {
    const binding = this.#bindings.get(address);
    if (binding === undefined) return;
    this.#bindings.delete(address);
    if (this.#byHolder.get(binding.holder) === address) this.#byHolder.delete(binding.holder);
    if (this.#byMac.get(binding.mac) === address) this.#byMac.delete(binding.mac);
    if (!binding.known) this.#unknownCount--;
  }

  #dropOffer(mac: Mac): void {
    const offer = this.#offers.get(mac);
    if (offer === undefined) return;
    this.#offers.delete(mac);
    if (this.#offered.get(offer.address) !== offer) return;
    this.#offered.delete(offer.address);
    this.#giveBack(offer.address);
  }

  #giveBack(address: Ipv4): void {
    const number = ipv4Number(address);
    const inPool = number >= this.assignable.firstNumber && number < this.#cursor;
    if (inPool && !this.#bindings.has(address) && !this.#offered.has(address)) this.#returned.add(address);
  }

  /** Moves the cursor over what is in use or reserved. */
  #use(address: Ipv4): void {
    this.#returned.delete(address);
    for (let next = ipv4From(this.#cursor); this.#cursor <= this.assignable.lastNumber; next = ipv4From(this.#cursor)) {
      if (this.assignable.isOpen(next) && !this.#bindings.has(next) && !this.#offered.has(next)) break;
      this.#cursor++;
    }
  }
}
