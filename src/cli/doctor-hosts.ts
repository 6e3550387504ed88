/** What the doctor finds of hosts: what stands still, what must be pressed by hand, what is not safe, who may be confused with whom. */
import type { HostJson } from '../api/types.ts';
import { bad, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';
import { ageText, durationText, plural } from './human.ts';

const states = (hosts: readonly HostJson[]): string =>
  [...new Set(hosts.map((host) => host.state))]
    .map((state) => `${hosts.filter((host) => host.state === state).length} ${state}`)
    .join(', ');

const standing = ({ name, held, failed }: HostJson, now: number): readonly Finding[] => [
  ...(failed === null
    ? []
    : [
        bad(
          `host ${name} failed at ${failed.step} ${ageText(failed.at, now)}: ${failed.reason}`,
          'it waits; no step is taken on it',
          `mend the cause, then: remuda host retry ${name}`,
        ),
      ]),
  ...(held === null
    ? []
    : [
        warn(
          `host ${name} is held by ${held.by} since ${durationText(now - held.at)}: ${held.why}`,
          'no step is taken on it, and it cannot be claimed',
          `when the reason is gone: remuda host unhold ${name}`,
        ),
      ]),
];

const controller = ({ name, bmc, state }: HostJson): readonly Finding[] => {
  if (bmc === null)
    return state === 'discovered'
      ? []
      : [
          warn(
            `host ${name} has no BMC`,
            'somebody must press its power button for each step',
            `remuda host bmc set ${name} --bmc-url URL --bmc-username USER`,
          ),
        ];
  return [
    ...(bmc.insecure
      ? [
          warn(
            `the BMC of host ${name} may show any certificate`,
            'whoever answers there gets its password',
            `remuda host bmc set ${name} … --bmc-fingerprint SHA256, or --bmc-ca FILE`,
          ),
        ]
      : []),
    ...(bmc.url.startsWith('http:')
      ? [
          warn(
            `the password of host ${name}\u2019s BMC goes over the network in plain text`,
            'whoever hears it may switch its power',
            'use https:// for it',
          ),
        ]
      : []),
    ...(bmc.suites.length > 0
      ? [
          warn(
            `the BMC of host ${name} may use IPMI cipher suites ${bmc.suites.join(', ')} beside 17 and 3`,
            'some of them neither encrypt nor prove who asks',
            'renew its firmware, and take the suites away: remuda host bmc set',
          ),
        ]
      : []),
  ];
};

const confusions = ({ name, identity }: HostJson): readonly Finding[] => [
  ...identity.proposals.map(({ mac, uuid }) =>
    warn(
      `a machine with the UUID of host ${name} (${uuid}) boots with another MAC, ${mac}`,
      'it is a replaced network card, or a second machine; until it is said which, it does not boot as this host',
      `remuda host mac adopt ${name} ${mac}, or: remuda host mac refuse ${name} ${mac}`,
    ),
  ),
  ...identity.conflicts.map(({ what, value, host }) =>
    bad(
      `hosts ${name} and ${host.name} are said to have the same ${what} ${value}`,
      'one of them may boot as the other',
      `find out whose it is, then: remuda host mac remove HOST MAC, or remuda host describe HOST --clear ${what === 'mac' ? 'uuid' : what}`,
    ),
  ),
];

export const hostFindings = ({
  hosts,
  status,
}: {
  readonly hosts: readonly HostJson[];
  readonly status: { readonly now: number };
}): readonly Finding[] =>
  hosts.length === 0
    ? [
        warn(
          'no host was ever seen',
          'either none has booted, or what it sends does not reach this machine',
          'power a server on and let it boot from the network, or: remuda host enrol NAME --mac MAC',
        ),
      ]
    : [
        ok(`${plural(hosts.length, 'host')}: ${states(hosts)}`),
        ...hosts.flatMap((host) => [...standing(host, status.now), ...controller(host), ...confusions(host)]),
      ];
