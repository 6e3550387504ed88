/** Who the host is, by IPMI: the device ID, the system's GUID, and the label in the FRU inventory. */
import { RemudaError } from '../../errors.ts';
import { parseUuid } from '../../wire/address.ts';
import type { Uuid } from '../../wire/address.ts';
import { DecodeError } from '../../wire/reader.ts';
import type { BmcIdentity, Power } from '../driver.ts';
import { getChassisStatus, getDeviceId, getFruInfo, getSystemGuid, readFru } from './commands.ts';
import type { Connection } from './connection.ts';
import { decodeFru } from './fru.ts';
import type { Fru } from './fru.ts';

type Signal = AbortSignal | undefined;

/** Numbers of the IANA enterprise list, for boards without a label. */
const makers: Readonly<Record<number, string>> = {
  2: 'IBM',
  11: 'HP',
  343: 'Intel',
  674: 'Dell',
  5771: 'Cisco',
  10_368: 'Fujitsu',
  10_876: 'Supermicro',
  15_370: 'GIGABYTE',
  19_046: 'Lenovo',
  47_196: 'HPE',
};
export const supermicro = 10_876;

/** Of BMCs that do not know the command, have nothing to tell, or tell it brokenly: no failure of the whole. */
const optional = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await read();
  } catch (error) {
    const isRefusal = error instanceof RemudaError && error.code === 'bmc-refused' && error.values['completion'] !== undefined;
    const isBroken = error instanceof DecodeError || (error instanceof RemudaError && error.values['broken'] === true);
    if (isRefusal || isBroken) return undefined;
    throw error;
  }
};

const hexOf = (bytes: readonly number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
const uuidOf = (bytes: readonly number[]): Uuid | undefined => {
  const hex = hexOf(bytes);
  return parseUuid([hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'));
};
/** RFC 9562 §4: version 1 to 8, variant 10b. */
const isPlausible = (uuid: Uuid): boolean => /^.{14}[1-8].{4}[89ab]/.test(uuid);

/**
 * The 16 bytes of a GUID as a UUID. By the book (§20.8) they come last byte first; many BMCs send them as SMBIOS lays them out, others as
 * written. A UUID has a version and a variant at fixed places, so that usually one reading only is one; where it is not so, nothing is
 * guessed: the host is known by its serial number and its network cards.
 */
export const systemUuid = (guid: Uint8Array): Uuid | undefined => {
  const bytes = Array.from(guid);
  const smbios = [
    ...bytes.slice(0, 4).toReversed(),
    ...bytes.slice(4, 6).toReversed(),
    ...bytes.slice(6, 8).toReversed(),
    ...bytes.slice(8),
  ];
  const readings = [bytes, smbios, bytes.toReversed()].map(uuidOf).filter((uuid) => uuid !== undefined && isPlausible(uuid));
  const [only, ...others] = new Set(readings);
  return others.length === 0 ? only : undefined;
};

/** Small pieces, and smaller ones where those are refused: boards serve no more than their narrowest bus carries. */
const pieces = [32, 8] as const;
/** The inventory of the host itself. */
const mainFru = 0;

const readLabel = async (connection: Connection, sizeBytesMax: number, signal: Signal): Promise<Fru> => {
  const { sizeBytes, access } = await connection.ask(getFruInfo, { fru: mainFru }, { signal });
  const unit = access.inWords ? 2 : 1;
  const bytes: number[] = [];
  const end = Math.min(sizeBytes, sizeBytesMax);
  let pieceAt = 0;
  while (bytes.length < end) {
    const pieceBytes: number | undefined = pieces[pieceAt];
    if (pieceBytes === undefined) break;
    const request = { fru: mainFru, offset: bytes.length / unit, count: Math.ceil(Math.min(pieceBytes, end - bytes.length) / unit) };
    const piece = await optional(() => connection.ask(readFru, request, { signal }));
    if (piece === undefined || piece.data.length === 0 || piece.data.length % unit !== 0) pieceAt += 1;
    else bytes.push(...piece.data);
  }
  return decodeFru(Uint8Array.from(bytes));
};

const twoDigits = (bcd: number): string => bcd.toString(16).padStart(2, '0');

export const manufacturerOf = async (connection: Connection, signal: Signal): Promise<number | undefined> =>
  (await optional(() => connection.ask(getDeviceId, {}, { signal })))?.manufacturer;

/** The verb of driver.ts. IPMI tells no network cards of the host. */
export const identify = async (connection: Connection, fruBytesMax: number, signal: Signal): Promise<BmcIdentity> => {
  const power: Power = (await connection.ask(getChassisStatus, {}, { signal })).power.on ? 'on' : 'off';
  const device = await optional(() => connection.ask(getDeviceId, {}, { signal }));
  const guid = await optional(() => connection.ask(getSystemGuid, {}, { signal }));
  const fru = await optional(() => readLabel(connection, fruBytesMax, signal));
  const found = {
    vendor: fru?.product?.manufacturer ?? fru?.board?.manufacturer ?? makers[device?.manufacturer ?? 0],
    model: fru?.product?.product ?? fru?.board?.product,
    serial: fru?.product?.serial ?? fru?.chassis?.serial ?? fru?.board?.serial,
    uuid: guid === undefined ? undefined : systemUuid(guid.guid),
    bmcVersion: device === undefined ? undefined : `${device.firmware.major}.${twoDigits(device.firmwareMinorBcd)}`,
  };
  const present = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  return { ...present, macs: [], power };
};
