/** The identify light by Redfish: LocationIndicatorActive, or IndicatorLED on older BMCs; at the system or at its chassis (DSP0268). */
import { RemudaError } from '../../errors.ts';
import type { Outcome } from '../driver.ts';
import type { Resource } from './connection.ts';
import { chassis } from './messages.ts';
import type { Light } from './messages.ts';
import { afterwards, optional, patchWithEtag } from './system.ts';
import type { Verb } from './system.ts';

type OnOff = 'on' | 'off';

const stateOf = ({ LocationIndicatorActive: active, IndicatorLED: led }: Light): OnOff | undefined => {
  if (active !== undefined) return active ? 'on' : 'off';
  if (led === undefined) return undefined;
  return led === 'Lit' || led === 'Blinking' ? 'on' : 'off';
};

/** The first resource that has a light: the system, then its chassis. */
const lightOf = async ({ connection, host, signal }: Verb): Promise<Resource<Light>> => {
  const found = await host(signal);
  if (stateOf(found.value) !== undefined) return found;
  for (const link of found.value.Links?.Chassis ?? []) {
    const its = await optional(() => connection.get(link['@odata.id'], chassis, signal));
    if (its !== undefined && stateOf(its.value) !== undefined) return its;
  }
  throw new RemudaError('bmc-refused', 'the BMC offers no identify light for this host');
};

/** The verb of driver.ts. Redfish knows no seconds: the light stays on until it is told off, and the note says so. */
export const locate = async (verb: Verb, seconds: number | 'off'): Promise<Outcome<OnOff>> => {
  const { connection, signal } = verb;
  const wanted = seconds === 'off' ? 'off' : 'on';
  const { value, etag } = await lightOf(verb);
  const link = value['@odata.id'];
  if (link === undefined) throw new RemudaError('bmc-refused', 'the BMC shows an identify light, and not where to change it');
  const body =
    value.LocationIndicatorActive === undefined
      ? { IndicatorLED: wanted === 'on' ? 'Blinking' : 'Off' }
      : { LocationIndicatorActive: wanted === 'on' };
  const ask = { method: 'PATCH', link, body, signal } as const;
  const answer = await patchWithEtag(connection, ask, etag ?? value['@odata.etag']);
  if (answer.status < 200 || answer.status > 299) throw connection.refusal(ask, answer);
  const read = async (): Promise<Outcome<OnOff>> => {
    const observed = stateOf((await lightOf(verb)).value) ?? 'unknown';
    if (observed !== wanted)
      return { asked: wanted, observed, settled: false, note: `the BMC took the change and shows its light ${observed}` };
    const stays = wanted === 'on' ? { note: 'the light stays on until it is told off: Redfish knows no seconds' } : {};
    return { asked: wanted, observed, settled: true, ...stays };
  };
  return afterwards(signal, read, wanted);
};
