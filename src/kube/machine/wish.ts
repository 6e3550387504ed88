/** What a machine's spec asks of the rack: selector, disk, place and network of its claim; or why it cannot be asked. Pure. */
import { createHash } from 'node:crypto';
import { claimSchema } from '../../control/rack.ts';
import type { ClaimRequest } from '../../control/rack.ts';
import type { MetaData } from '../../host/meta-data.ts';
import type { HostNetwork } from '../../host/network.ts';
import { capi, reasons } from '../names.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';
import { bytesOf } from './quantity.ts';
import type { NamedClaim, Plan } from './view.ts';

export interface WishWords {
  readonly claimId: string;
  readonly owner: string;
  readonly spec: MachineSpec;
  readonly namespace: string;
  /** The Machine's name. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly failureDomain: string | undefined;
  /** What tells the failure domain of a host; `None`: nobody cares. */
  readonly failureDomainBy: string;
  /** That the namespace may claim from. */
  readonly poolsAllowed: readonly string[];
  readonly userData: string;
  readonly metaData?: MetaData;
  readonly network?: HostNetwork;
}
type Selector = NonNullable<ClaimRequest['selector']>;
type LabelTests = NonNullable<Selector['labels']>;

/** Which pools this namespace may use. */
export const poolsOf = (pools: Readonly<Record<string, readonly string[]>>, namespace: string): readonly string[] =>
  pools[namespace] ?? pools['*'] ?? [];

/** As whom a machine claims; the rack takes 128 characters. */
export const ownerOf = (namespace: string, name: string): string => {
  const owner = `${namespace}/${name}`;
  if (owner.length <= 128) return owner;
  return `${owner.slice(0, 111)}-${createHash('sha256').update(owner).digest('hex').slice(0, 16)}`;
};
/** By which machines of one owner know each other: `ns/MachineDeployment/md-0`; undefined for a Machine that stands alone. */
export const groupOfMachine = (namespace: string, labels: Readonly<Record<string, string>>): string | undefined => {
  const [kind, name] = [
    ['ControlPlane', labels[capi.controlPlaneName]],
    ['MachineDeployment', labels[capi.deploymentName]],
    ['MachineSet', labels[capi.setName]],
  ].find(([, found]) => found !== undefined && found !== '') ?? [undefined, undefined];
  return kind === undefined || name === undefined ? undefined : `${namespace}/${kind}/${name}`;
};

class Refused extends Error {}
const expressionTest = ({
  key,
  operator,
  values = [],
}: NonNullable<NonNullable<MachineSpec['hostSelector']>['matchExpressions']>[number]) => {
  if (operator === 'Exists' || operator === 'DoesNotExist') return { exists: operator === 'Exists' };
  if (values.length === 0) throw new Refused(`hostSelector: ${operator} of label ${key} needs values`);
  return operator === 'In' ? { in: values } : { notIn: values };
};
const labelTests = (spec: MachineSpec, place: Readonly<Record<string, string>>): LabelTests => {
  const { matchLabels = {}, matchExpressions = [] } = spec.hostSelector ?? {};
  const tests: LabelTests = {};
  const add = (key: string, test: LabelTests[string]): void => {
    if (tests[key] !== undefined) throw new Refused(`label ${key} is asked for twice: say it in one expression`);
    tests[key] = test;
  };
  for (const [key, value] of Object.entries(matchLabels)) add(key, value);
  for (const expression of matchExpressions) add(expression.key, expressionTest(expression));
  for (const [key, value] of Object.entries(place)) add(key, value);
  return tests;
};
/** What the Machine's failure domain asks of a host. */
const placeOf = ({ failureDomain, failureDomainBy }: Pick<WishWords, 'failureDomain' | 'failureDomainBy'>) => {
  if (failureDomain === undefined || failureDomainBy === 'None') return { said: {}, labels: {} };
  if (failureDomainBy === 'failureDomain' || failureDomainBy === 'rack') return { said: { [failureDomainBy]: failureDomain }, labels: {} };
  return { said: {}, labels: { [failureDomainBy]: failureDomain } };
};
const amount = (name: string, quantity: string | undefined): Record<string, number> => {
  if (quantity === undefined) return {};
  const value = bytesOf(quantity);
  if (value === undefined || value < 1) throw new Refused(`${quantity} is no amount of bytes, like 64Gi`);
  return { [name]: value };
};
/** The selector as the rack understands it; throws what is told as InvalidSpec. */
export const selectorOf = (words: Pick<WishWords, 'spec' | 'failureDomain' | 'failureDomainBy' | 'poolsAllowed'>): unknown => {
  const { pools, matchLabels: _labels, matchExpressions: _expressions, memory, diskSize, ...plain } = words.spec.hostSelector ?? {};
  const place = placeOf(words);
  const labels = labelTests(words.spec, place.labels);
  return {
    ...plain,
    pools: pools === undefined || pools.length === 0 ? words.poolsAllowed : pools,
    ...amount('memoryBytes', memory),
    ...amount('diskBytes', diskSize),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...place.said,
  };
};
export const diskRuleOf = ({ disk }: MachineSpec): unknown => {
  if (disk === undefined || Object.keys(disk).length === 0) return { only: true };
  const { serial, wwn, minSize, maxSize, pick } = disk;
  return {
    ...(serial === undefined ? {} : { serial }),
    ...(wwn === undefined ? {} : { wwn }),
    ...amount('minSizeBytes', minSize),
    ...amount('maxSizeBytes', maxSize),
    ...(pick === undefined ? {} : { pick: pick.toLowerCase() }),
  };
};
const modes = { Spread: 'spread', RequireSpread: 'require-spread', Together: 'together' } as const;
const belonging = ({ namespace, labels, spec }: WishWords): object => {
  const group = groupOfMachine(namespace, labels);
  if (group === undefined) return {};
  const { nodeReuse = 'None', placement } = spec;
  return {
    ...(nodeReuse === 'None' ? {} : { reuse: { of: group, mode: nodeReuse === 'Wait' ? 'wait' : 'prefer' } }),
    ...(placement === undefined ? {} : { placement: { group, by: placement.by, mode: modes[placement.mode] } }),
  };
};
const requestOf = (words: WishWords): unknown => {
  const { claimId, owner, spec, name, metaData, network } = words;
  return {
    id: claimId,
    owner,
    image: spec.image,
    hostName: spec.hostName ?? name,
    userData: words.userData,
    selector: selectorOf(words),
    disk: diskRuleOf(spec),
    ...belonging(words),
    ...(spec.host === undefined ? {} : { host: spec.host }),
    ...(metaData === undefined ? {} : { metaData }),
    ...(network === undefined ? {} : { network }),
    ...(spec.provisionTimeoutSeconds === undefined ? {} : { provisionTimeoutSeconds: spec.provisionTimeoutSeconds }),
  };
};
/** The request for the rack, checked as the rack would check it. */
export const planOf = (words: WishWords): Plan => {
  const { spec, poolsAllowed, namespace } = words;
  const foreign = (spec.hostSelector?.pools ?? []).filter((pool) => !poolsAllowed.includes(pool));
  if (foreign.length > 0 || poolsAllowed.length === 0) {
    const message = `namespace ${namespace} may claim hosts of ${poolsAllowed.join(', ') || 'no pool'}${foreign.length === 0 ? '' : `, not of ${foreign.join(', ')}`}; the configuration of the controller says so (kubernetes.pools)`;
    return { is: 'refused', reason: reasons.poolNotAllowed, message };
  }
  try {
    const parsed = claimSchema.safeParse(requestOf(words));
    if (parsed.success) return { is: 'ready', request: { ...parsed.data, id: words.claimId } satisfies NamedClaim };
    // Of the values only those that are no secret: the path and what it should be.
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${path[0] === 'userData' ? 'no text' : message}`);
    return { is: 'refused', reason: reasons.invalid, message: faults.join('; ') };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { is: 'refused', reason: reasons.invalid, message: error.message };
  }
};
