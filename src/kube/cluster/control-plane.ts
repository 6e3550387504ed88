/** Which hosts the control planes of a cluster may stand on: so that a failure domain without any is never chosen for one. */
import { z } from 'zod';
import { KubeError } from '../api.ts';
import type { Get } from '../machine/ipam.ts';
import { bareMetalTemplate } from '../machine/template.ts';
import { kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';

/** `any`: nothing is known that speaks against a host. `awaited`: what is not there yet, in words. */
export type ControlPlaneWord =
  | { readonly is: 'any' }
  | { readonly is: 'awaited'; readonly message: string }
  | { readonly is: 'like'; readonly machines: readonly MachineSpec[] };

const any: ControlPlaneWord = { is: 'any' };
const refShape = z.object({ apiGroup: z.string(), kind: z.string(), name: z.string().min(1) });
const clusterShape = z.object({ controlPlaneRef: refShape });
const controlPlaneShape = z.object({ machineTemplate: z.object({ spec: z.object({ infrastructureRef: refShape }) }) });

/**
 * By the template that the KubeadmControlPlane of the Cluster clones its machines from. Of other control planes, and of templates of
 * other kinds, nothing is known: their machines may stand anywhere.
 */
export const controlPlaneWord = async (get: Get, cluster: KubeObject | undefined): Promise<ControlPlaneWord> => {
  const ref = clusterShape.safeParse(cluster?.spec ?? {}).data?.controlPlaneRef;
  const { kubeadmControlPlane, bareMetalMachineTemplate } = kinds;
  if (ref?.kind !== kubeadmControlPlane.kind || ref.apiGroup !== kubeadmControlPlane.group) return any;
  const namespace = cluster?.metadata.namespace ?? '';
  try {
    const controlPlane = await get(kubeadmControlPlane, `${namespace}/${ref.name}`);
    if (controlPlane === undefined) return { is: 'awaited', message: `${ref.kind} ${ref.name} is not there yet` };
    const template = controlPlaneShape.safeParse(controlPlane.spec ?? {}).data?.machineTemplate.spec.infrastructureRef;
    if (template?.kind !== bareMetalMachineTemplate.kind || template.apiGroup !== bareMetalMachineTemplate.group) return any;
    const found = await get(bareMetalMachineTemplate, `${namespace}/${template.name}`);
    if (found === undefined)
      return { is: 'awaited', message: `${template.kind} ${template.name} of ${ref.kind} ${ref.name} is not there yet` };
    return { is: 'like', machines: bareMetalTemplate.wishesOf(found) };
  } catch (error) {
    if (!(error instanceof KubeError) || error.httpStatus !== 403) throw error;
    return { is: 'awaited', message: `the controller may not read ${ref.kind} ${ref.name}: apply the rights of its own version` };
  }
};
