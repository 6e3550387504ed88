/** The boot override by Redfish: where it stands, the PATCH with its ETag, and one reading afterwards. */
import { RemudaError } from '../../errors.ts';
import type { BootDevice, BootWish, Outcome } from '../driver.ts';
import { bootChange, bootOutcome, mergedBoot } from './boot-override.ts';
import type { BootChange } from './boot-override.ts';
import type { Ask, Connection, Resource } from './connection.ts';
import { settingsResource } from './messages.ts';
import type { Boot, System } from './messages.ts';
import { afterwards, optional, patchWithEtag } from './system.ts';
import type { Signal, Verb } from './system.ts';

/** The verb of driver.ts. */
export const setBoot = async <D extends BootDevice>(
  { connection, host, signal }: Verb,
  wish: BootWish & { readonly device: D },
): Promise<Outcome<D>> => {
  const before = await bootPlace(connection, await host(signal), signal);
  const change = bootChange(before.boot, wish);
  await patchBoot({ connection, place: before, change, signal });
  const read = async (): Promise<Outcome<D>> =>
    bootOutcome(wish.device, (await bootPlace(connection, await host(signal), signal)).boot, change);
  return afterwards(signal, read, wish.device);
};

interface BootPlace {
  readonly link: string;
  readonly etag: string | undefined;
  readonly boot: Boot;
}

/** Where the Boot object is to be changed: in the settings resource where that has one (Nokia, iDRAC10), else in the system itself. */
const bootPlace = async (connection: Connection, found: Resource<System>, signal: Signal): Promise<BootPlace> => {
  const own = found.value;
  const settings = own['@Redfish.Settings']?.SettingsObject?.['@odata.id'];
  const pending = settings === undefined ? undefined : await optional(() => connection.get(settings, settingsResource, signal));
  if (settings !== undefined && pending?.value.Boot?.BootSourceOverrideTarget !== undefined)
    return { link: settings, etag: pending.etag ?? pending.value['@odata.etag'], boot: mergedBoot(own.Boot, pending.value.Boot) };
  const link = own['@odata.id'];
  if (link === undefined || own.Boot === undefined) throw new RemudaError('bmc-refused', 'the BMC offers no boot override for this host');
  return { link, etag: found.etag ?? own['@odata.etag'], boot: own.Boot };
};

interface BootPatch {
  readonly connection: Connection;
  readonly place: BootPlace;
  readonly change: BootChange;
  readonly signal: Signal;
}

/**
 * PATCH with the ETag rules of ifMatchLadder. Two refusals with 400 are no refusals: of a value that already stands as asked (some BMCs
 * refuse the unchanged), and of a mode that needs no change (HP DL160 Gen10 wants the minimal fields).
 */
const patchBoot = async ({ connection, place, change, signal }: BootPatch): Promise<void> => {
  const { BootSourceOverrideMode: mode, ...minimal } = change;
  const shown = place.boot;
  const sameMode = mode === undefined || shown.BootSourceOverrideMode === mode;
  const bodies = mode !== undefined && sameMode ? [change, minimal] : [change];
  let refused: RemudaError | undefined;
  for (const Boot of bodies) {
    const ask: Ask = { method: 'PATCH', link: place.link, body: { Boot }, signal };
    const answer = await patchWithEtag(connection, ask, place.etag);
    if (answer.status >= 200 && answer.status < 300) return;
    refused = connection.refusal(ask, answer);
    if (answer.status !== 400) throw refused;
  }
  const unchanged =
    shown.BootSourceOverrideTarget === change.BootSourceOverrideTarget &&
    shown.BootSourceOverrideEnabled === change.BootSourceOverrideEnabled &&
    sameMode;
  if (refused !== undefined && !unchanged) throw refused;
};
