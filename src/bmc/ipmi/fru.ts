/** FRU inventory: the label of the hardware (Platform Management FRU Information Storage Definition 1.3), read leniently, written plainly. */
import { DecodeError } from '../../wire/reader.ts';

/** What the label says; a field that is empty or cannot be read is absent. */
export interface FruLabel {
  readonly manufacturer?: string;
  readonly product?: string;
  readonly serial?: string;
}
export interface Fru {
  readonly chassis?: Pick<FruLabel, 'serial'>;
  readonly board?: FruLabel;
  readonly product?: FruLabel;
}

/** §8: areas lie at multiples of 8 bytes, 0 means absent. */
const unitBytes = 8;
const headerBytes = 8;
/** §13: the type and length byte that ends the fields. */
const endOfFields = 0xc1;

const plainText = (text: string): string | undefined => {
  // oxlint-disable-next-line no-control-regex -- what a BMC sends must not paint an operator's terminal.
  const plain = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim();
  return plain === '' ? undefined : plain;
};
const bcdPlus = '0123456789 -.???';
/** §13: the two top bits say how text is packed. */
const textOf = (type: number, bytes: Uint8Array): string | undefined => {
  if (type === 3) return plainText(Buffer.from(bytes).toString('latin1'));
  if (type === 1) return plainText(Array.from(bytes, (byte) => `${bcdPlus[byte >>> 4] ?? ''}${bcdPlus[byte & 0xf] ?? ''}`).join(''));
  if (type === 2) return plainText(sixBit(bytes));
  return undefined;
};
/** 6-bit ASCII, low bits first; 0 is a space. */
const sixBit = (bytes: Uint8Array): string => {
  const characters: string[] = [];
  for (let bit = 0; bit + 6 <= bytes.length * 8; bit += 6) {
    const at = bit >>> 3;
    const pair = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    characters.push(String.fromCharCode(0x20 + ((pair >>> (bit & 7)) & 0x3f)));
  }
  return characters.join('');
};

/** The text fields of the area at this offset of the header, behind its `fixedBytes`; empty where there is no such area. */
const fieldsOf = (bytes: Uint8Array, headerOffset: number, fixedBytes: number): readonly (string | undefined)[] => {
  const start = (bytes[headerOffset] ?? 0) * unitBytes;
  if (start === 0) return [];
  const end = Math.min(bytes.length, start + (bytes[start + 1] ?? 0) * unitBytes);
  const fields: (string | undefined)[] = [];
  for (let at = start + fixedBytes; at < end;) {
    const head = bytes[at] ?? endOfFields;
    if (head === endOfFields) break;
    const length = head & 0x3f;
    fields.push(textOf(head >>> 6, bytes.subarray(at + 1, Math.min(end, at + 1 + length))));
    at += 1 + length;
  }
  return fields;
};
const label = (fields: Readonly<Record<keyof FruLabel, string | undefined>>): FruLabel =>
  Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== undefined));

/** Checksums are not looked at: too many boards ship with wrong ones, and nothing rests on a label alone. Throws DecodeError. */
export const decodeFru = (bytes: Uint8Array): Fru => {
  if (bytes.length < headerBytes) throw new DecodeError('fru', 0, `needs ${headerBytes} bytes, got ${bytes.length}`);
  if (((bytes[0] ?? 0) & 0x0f) !== 1) throw new DecodeError('fru.version', 0, 'is none that we know');
  // §10 chassis: type; §11 board: language, date; §12 product: language.
  const [, chassisSerial] = fieldsOf(bytes, 2, 3);
  const [boardManufacturer, boardProduct, boardSerial] = fieldsOf(bytes, 3, 6);
  const [manufacturer, product, , , serial] = fieldsOf(bytes, 4, 3);
  return {
    chassis: label({ manufacturer: undefined, product: undefined, serial: chassisSerial }),
    board: label({ manufacturer: boardManufacturer, product: boardProduct, serial: boardSerial }),
    product: label({ manufacturer, product, serial }),
  };
};

const sumToZero = (bytes: readonly number[]): number => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
/** One field as 8-bit text, at most 63 bytes. One byte long it would look like the end of the fields (§13), so that it gets a space. */
const field = (text: string | undefined): readonly number[] => {
  const bytes = Buffer.from((text ?? '').length === 1 ? `${text} ` : (text ?? ''), 'latin1').subarray(0, 0x3f);
  return [0xc0 | bytes.length, ...bytes];
};
const area = (head: readonly number[], texts: readonly (string | undefined)[]): readonly number[] => {
  const content = [...head, ...texts.flatMap(field), endOfFields];
  const units = Math.ceil((content.length + 3) / unitBytes);
  const body = [1, units, ...content, ...new Uint8Array(units * unitBytes - content.length - 3)];
  return [...body, sumToZero(body)];
};
/** An inventory with the three areas, as a virtual BMC shows it. Chassis type 17h: rack mount. */
export const encodeFru = ({ chassis, board, product }: Fru): Uint8Array => {
  const english = 25;
  const areas = [
    area([0x17], [undefined, chassis?.serial]),
    area([english, 0, 0, 0], [board?.manufacturer, board?.product, board?.serial, undefined, undefined]),
    area([english], [product?.manufacturer, product?.product, undefined, undefined, product?.serial, undefined, undefined]),
  ];
  let at = headerBytes / unitBytes;
  const offsets = areas.map(({ length }) => {
    const mine = at;
    at += length / unitBytes;
    return mine;
  });
  const header = [1, 0, ...offsets, 0, 0];
  return Uint8Array.from([...header, sumToZero(header), ...areas.flat()]);
};
