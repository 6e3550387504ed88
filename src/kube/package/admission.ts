/** Templates do not change, said by a ValidatingAdmissionPolicy: no webhook, no certificate, nothing that must run. */
import { infraGroup } from '../names.ts';
import type { Manifest } from './text.ts';

/** clusterctl takes it away with the provider, because of the namespace that the name begins with. */
const name = 'remuda-system-templates-are-immutable';
/** By these Cluster API makes machines and clusters; a remediation template may change. */
const templates = ['baremetalmachinetemplates', 'baremetalclustertemplates', 'packetmachinetemplates', 'packetclustertemplates'];
/**
 * Cluster API's topology controller finds out by a dry run whether a template differs, and makes a new one if so: a refusal would stop it.
 * Both marks are needed (Cluster API, util/topology: IsDryRunRequest).
 */
const isTopologyDryRun =
  "request.dryRun == true && has(object.metadata.annotations) && 'topology.cluster.x-k8s.io/dry-run' in object.metadata.annotations";

export const templatePolicy = (labels: Readonly<Record<string, string>>): readonly Manifest[] => [
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name, labels },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [{ apiGroups: [infraGroup], apiVersions: ['*'], operations: ['UPDATE'], resources: templates }],
      },
      matchConditions: [{ name: 'not-a-topology-dry-run', expression: `!(${isTopologyDryRun})` }],
      validations: [
        {
          expression: 'object.spec.template.spec == oldObject.spec.template.spec',
          message:
            'spec.template.spec cannot be changed: machines that stand were made from it. Create a template with another name and refer to it; its machines are then replaced or updated',
          reason: 'Invalid',
        },
      ],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels },
    spec: { policyName: name, validationActions: ['Deny'] },
  },
];
