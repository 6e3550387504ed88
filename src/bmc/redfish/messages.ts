/** Redfish messages as we read them: only the properties we use, and a property of a wrong type counts as absent. */
import { z } from 'zod';
import { parseMac, parseUuid } from '../../wire/address.ts';
import type { Mac } from '../../wire/address.ts';
import type { BmcIdentity, Power } from '../driver.ts';

// Real BMCs send null, "" and wrong types where the schema has strings; one bad property must not hide the others.
const text = z.string().optional().catch(undefined);
const texts = z.array(z.string()).optional().catch(undefined);
/** A reference to another resource (DSP0266 §9.6, "Navigation property"). */
const link = z.object({ '@odata.id': z.string() }).optional().catch(undefined);
const links = z
  .array(link)
  .transform((all) => all.filter((one) => one !== undefined))
  .optional()
  .catch(undefined);

/** DSP0266 §6.5.3 "Service root"; Links.Sessions is the way to log in that always works without being logged in. */
export const serviceRoot = z.object({
  Vendor: text,
  Product: text,
  RedfishVersion: text,
  Systems: link,
  Managers: link,
  SessionService: link,
  Links: z.object({ Sessions: link }).optional().catch(undefined),
});
export const sessionService = z.object({ Sessions: link });
export const collection = z.object({ Members: links });

/** DSP0268 "ComputerSystem", property Boot; the same shape stands in its settings resource. */
const boot = z
  .object({
    BootSourceOverrideTarget: text,
    BootSourceOverrideEnabled: text,
    BootSourceOverrideMode: text,
    'BootSourceOverrideTarget@Redfish.AllowableValues': texts,
    'BootSourceOverrideMode@Redfish.AllowableValues': texts,
  })
  .optional()
  .catch(undefined);
export type Boot = NonNullable<z.infer<typeof boot>>;

const light = { LocationIndicatorActive: z.boolean().optional().catch(undefined), IndicatorLED: text };

const resetAction = z
  .object({ target: text, 'ResetType@Redfish.AllowableValues': texts, '@Redfish.ActionInfo': text })
  .optional()
  .catch(undefined);

export const system = z.object({
  '@odata.id': text,
  '@odata.etag': text,
  Manufacturer: text,
  Model: text,
  SerialNumber: text,
  SKU: text,
  UUID: text,
  PowerState: text,
  Boot: boot,
  EthernetInterfaces: link,
  ...light,
  Links: z.object({ ManagedBy: links, Chassis: links }).optional().catch(undefined),
  Actions: z.object({ '#ComputerSystem.Reset': resetAction }).optional().catch(undefined),
  /** DSP0266 §9.10 "Settings resource": where changes have to go. */
  '@Redfish.Settings': z.object({ SettingsObject: link }).optional().catch(undefined),
});
export type System = z.infer<typeof system>;

/** DSP0268 "Chassis": the light is often here and not at the system. */
export const chassis = z.object({ '@odata.id': text, '@odata.etag': text, ...light });
export type Light = Pick<z.infer<typeof chassis>, '@odata.id' | '@odata.etag' | 'LocationIndicatorActive' | 'IndicatorLED'>;

export const settingsResource = z.object({ '@odata.etag': text, Boot: boot });
export const ethernetInterface = z.object({ MACAddress: text, PermanentMACAddress: text });
export const manager = z.object({ FirmwareVersion: text });
/** DSP0268 "ActionInfo": the other way to say which parameters an action permits. */
export const actionInfo = z.object({
  Parameters: z
    .array(z.object({ Name: text, AllowableValues: texts }).catch({}))
    .optional()
    .catch(undefined),
});

/** DSP0268 PowerState. What is on its way (PoweringOn, PoweringOff) or Paused is neither. */
export const powerOf = (state: string | undefined): Power | 'unknown' => (state === 'On' ? 'on' : state === 'Off' ? 'off' : 'unknown');

/** Some BMCs send "" or all zeros for a port without an address. */
export const macOf = (port: z.infer<typeof ethernetInterface>): Mac | undefined =>
  [port.PermanentMACAddress, port.MACAddress]
    .map((written) => parseMac(written ?? ''))
    .find((mac) => mac !== undefined && mac !== '00:00:00:00:00:00');

const named = (value: string | undefined): string | undefined => (value?.trim() === '' ? undefined : value?.trim());

/** The identity in our words. On Dell the number on the label (and in SMBIOS) is SKU, SerialNumber is that of the board. */
export const identityOf = (host: System, macs: readonly Mac[], bmcVersion: string | undefined): BmcIdentity => {
  const vendor = named(host.Manufacturer);
  const dell = vendor?.startsWith('Dell') === true;
  const found = {
    vendor,
    model: named(host.Model),
    serial: (dell ? named(host.SKU) : undefined) ?? named(host.SerialNumber),
    uuid: parseUuid(host.UUID ?? ''),
    bmcVersion: named(bmcVersion),
  };
  const present = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  return { ...present, macs: [...new Set(macs)], power: powerOf(host.PowerState) };
};
