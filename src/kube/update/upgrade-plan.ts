/** GenerateUpgradePlan: which Kubernetes versions a control plane goes through, by the images that the catalogue has. Pure. */
import type { ImageJson } from '../../api/types.ts';
import { compareReleases, parseRelease, releasesOf } from './release.ts';
import type { Release } from './release.ts';

export type UpgradePlan = { readonly steps: readonly string[] } | { readonly refused: string };

/** Of one minor the newest that is no pre-release; that failing, the newest. */
const newestOf = (releases: readonly Release[]): Release | undefined => releases.findLast(({ before }) => before === '') ?? releases.at(-1);

/**
 * One step for each minor, the last of them the target (`controlPlaneUpgrades`). Workers are left to Cluster API, which takes as few
 * steps as the version skew allows. Refuses where the catalogue has no image for a step.
 */
export const upgradePlan = (from: string, to: string, catalogue: readonly ImageJson[]): UpgradePlan => {
  const [first, last] = [parseRelease(from), parseRelease(to)];
  if (first === undefined || last === undefined)
    return { refused: `${first === undefined ? from : to} is no Kubernetes version like v1.34.4` };
  if (compareReleases(last, first) < 0) return { refused: `${to} is older than ${from}: Kubernetes is not taken back` };
  if (last.major !== first.major) return { refused: `${from} and ${to} are of different major versions` };
  // The same version: another build of it, at most.
  if (compareReleases(last, first) === 0) return { steps: from === to ? [] : [to] };
  const known = releasesOf(catalogue);
  const steps: string[] = [];
  for (let minor = first.minor + 1; minor < last.minor; minor++) {
    const step = newestOf(known.filter((one) => one.major === last.major && one.minor === minor));
    if (step === undefined)
      return {
        refused: `the way from ${from} to ${to} needs an image of Kubernetes v${last.major}.${minor}; import one as kubernetes-v${last.major}.${minor}.<patch>`,
      };
    steps.push(step.text);
  }
  if (!known.some(({ text }) => text === last.text))
    return { refused: `the catalogue has no image of Kubernetes ${last.text}; import it as kubernetes-${last.text}` };
  return { steps: [...steps, to] };
};
