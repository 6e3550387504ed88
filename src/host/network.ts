/** What the OS of a host is told of its network, in the terms of cloud-init's network config version 2. */
import type { Mac } from '../wire/address.ts';

/** How one interface gets its addresses. Without `addresses` and without `dhcp4` it only carries others (a member of a bond, a trunk). */
export interface Addressing {
  readonly dhcp4?: boolean;
  /** With prefix: `10.77.0.5/24`. */
  readonly addresses?: readonly string[];
  readonly gateway4?: string;
  readonly nameservers?: readonly string[];
  readonly search?: readonly string[];
  readonly mtu?: number;
}
export interface Ethernet extends Addressing {
  readonly name: string;
  /** Matched by it, and named `name`; without it the interface is found by name. */
  readonly mac?: Mac;
}
export interface Bond extends Addressing {
  readonly name: string;
  /** Names of ethernets. */
  readonly members: readonly string[];
  readonly mode: 'active-backup' | '802.3ad' | 'balance-rr' | 'balance-xor' | 'balance-tlb' | 'balance-alb' | 'broadcast';
  readonly miiMonitorMs?: number;
}
export interface Vlan extends Addressing {
  readonly name: string;
  /** 1 to 4094 */
  readonly id: number;
  /** Name of the ethernet or bond that carries it. */
  readonly link: string;
}
export interface HostNetwork {
  readonly ethernets: readonly Ethernet[];
  readonly bonds?: readonly Bond[];
  readonly vlans?: readonly Vlan[];
}
