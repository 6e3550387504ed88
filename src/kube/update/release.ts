/** Releases of Kubernetes: read from versions and from the names of images, and ordered. */
import type { ImageJson } from '../../api/types.ts';

export interface Release {
  /** `v1.34.4` */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** `rc.1`; empty for a release proper. */
  readonly before: string;
}
const pattern = /^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:-([0-9A-Za-z.-]{1,32}))?(?:\+[0-9A-Za-z.-]{1,64})?$/;
/** `v1.34.4`, with or without the `v`; what was built (`+k3s1`) is no part of it. */
export const parseRelease = (text: string): Release | undefined => {
  const [, major, minor, patch, before = ''] = pattern.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined) return undefined;
  const numbers = { major: Number(major), minor: Number(minor), patch: Number(patch) };
  return { text: `v${numbers.major}.${numbers.minor}.${numbers.patch}${before === '' ? '' : `-${before}`}`, ...numbers, before };
};
/** Semantic Versioning 2.0 §11.4 */
const compareBefore = (a: string, b: string): number => {
  if (a === '' || b === '') return Number(a === '') - Number(b === '');
  const [left, right] = [a.split('.'), b.split('.')];
  for (const [at, one] of left.entries()) {
    const other = right[at];
    if (other === undefined) return 1;
    if (one === other) continue;
    const areNumbers = /^\d+$/.test(one) && /^\d+$/.test(other);
    if (areNumbers) return Number(one) - Number(other);
    if (/^\d+$/.test(one) !== /^\d+$/.test(other)) return /^\d+$/.test(one) ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return left.length - right.length;
};
export const compareReleases = (a: Release, b: Release): number =>
  a.major - b.major || a.minor - b.minor || a.patch - b.patch || compareBefore(a.before, b.before);

/** The Kubernetes version that an image of this name holds: `kubernetes-v1.34.4` and what begins so. undefined: the name tells none. */
export const releaseOfName = (name: string): Release | undefined => {
  const [, text] = /(?:^|-)kubernetes-(v\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?)(?![\w.])/.exec(name) ?? [];
  return text === undefined ? undefined : parseRelease(text);
};
/** What the image of this name or digest holds, by all the names that it has. */
export const releaseOfImage = (image: string, catalogue: readonly ImageJson[]): Release | undefined => {
  const direct = releaseOfName(image);
  if (direct !== undefined) return direct;
  const found = catalogue.filter(({ name, digest }) => name === image || digest === image).map(({ digest }) => digest);
  const names = catalogue.filter(({ digest }) => found.includes(digest)).map(({ name }) => name);
  return names.map(releaseOfName).find((release) => release !== undefined);
};
/** Every version that a host may be given, ascending, each once. */
export const releasesOf = (catalogue: readonly ImageJson[]): readonly Release[] => {
  const all = catalogue.filter(({ refused }) => refused === null).map(({ name }) => releaseOfName(name));
  const each = new Map(all.filter((one) => one !== undefined).map((one) => [one.text, one]));
  return [...each.values()].toSorted(compareReleases);
};
