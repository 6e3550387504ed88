/** Amounts of bytes as Kubernetes writes them (resource.Quantity): `64Gi`, `500M`, `1024`. */
const factors: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  Pi: 1024 ** 5,
};
/** Whole bytes, rounded up; undefined where it is none, or more than a number can say for sure. */
export const bytesOf = (quantity: string): number | undefined => {
  const [, digits = '', unit = ''] = /^([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$/.exec(quantity) ?? [];
  const value = digits === '' ? Number.NaN : Math.ceil(Number(digits) * (factors[unit] ?? Number.NaN));
  return Number.isSafeInteger(value) ? value : undefined;
};
/** In the largest binary unit that says it without a fraction. */
export const quantityOf = (bytes: number): string => {
  const unit = ['Pi', 'Ti', 'Gi', 'Mi', 'Ki'].find((name) => bytes > 0 && bytes % (factors[name] ?? 1) === 0) ?? '';
  return `${bytes / (factors[unit] ?? 1)}${unit}`;
};
