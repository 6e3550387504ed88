/** Which hosts a list shows: by state, pool, labels, overlays, and a word anywhere in what names them. */
import { z } from 'zod';
import type { HostView } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import { hostStates } from '../host/host.ts';
import type { Host } from '../host/host.ts';
import { pageQuery } from './page.ts';

const truth = z.enum(['true', 'false']).transform((text) => text === 'true');
export const hostsQuery = pageQuery.extend({
  state: z.enum(hostStates).optional(),
  pool: z.string().min(1).max(63).optional(),
  /** `tier=web,gpu,!old,zone!=b`: equal, there, not there, not equal; all of them must hold. */
  labels: z.string().min(1).max(1024).optional(),
  held: truth.optional(),
  failed: truth.optional(),
  /** A part of the name, the ID, a MAC address, the serial number, the rack or the image that is claimed. */
  q: z.string().min(1).max(64).optional(),
});
export type HostsQuery = z.output<typeof hostsQuery>;

type LabelTest = (labels: Readonly<Record<string, string>>) => boolean;
const termForm = /^(!?)([A-Za-z0-9][\w./-]*)(?:(!?==?)([\w.-]*))?$/;
const labelTest = (term: string): LabelTest => {
  const [, not, key = '', sign, value = ''] = termForm.exec(term.trim()) ?? [];
  if (key === '' || (not === '!' && sign !== undefined))
    throw new RemudaError(
      'bad-request',
      `the query: labels: ${JSON.stringify(term.slice(0, 64))} is not key, !key, key=value or key!=value`,
    );
  // Not `in`: `constructor` is in every object.
  if (sign === undefined) return (labels) => Object.hasOwn(labels, key) === (not === '');
  return (labels) => (Object.hasOwn(labels, key) && labels[key] === value) === !sign.startsWith('!');
};
const wordsOf = ({ id, name, macs, uuid, serial, profile, claim }: Host): string =>
  [id, name, ...macs, uuid, serial, profile.rack, claim?.intent.imageName, claim?.id, claim?.owner].join('\n').toLowerCase();

/** Those that fit all that was asked; `bad-request` where the labels cannot be read. */
export const chosenHosts = (views: readonly HostView[], wanted: HostsQuery): readonly HostView[] => {
  const { state, pool, labels, held, failed, q } = wanted;
  const tests = labels?.split(',').map(labelTest) ?? [];
  return views.filter(
    ({ host }) =>
      (state === undefined || host.state === state) &&
      (pool === undefined || host.profile.pool === pool) &&
      tests.every((test) => test(host.profile.labels)) &&
      (held === undefined || (host.held !== null) === held) &&
      (failed === undefined || (host.failed !== null) === failed) &&
      (q === undefined || wordsOf(host).includes(q.toLowerCase())),
  );
};
