/** A provider's components, made fit for managers that run as processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { field } from '../../src/lab/plane/door.ts';
import { planeObjects } from '../../src/lab/plane/manifests.ts';

const yaml = `
apiVersion: v1
kind: Namespace
metadata: { name: capi-system }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: manager, namespace: capi-system }
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: serving, namespace: capi-system }
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: capi
  annotations: { cert-manager.io/inject-ca-from: capi-system/serving, kept: 'yes' }
webhooks:
  - name: validation.cluster.cluster.x-k8s.io
    failurePolicy: Fail
    clientConfig: { service: { name: webhook, namespace: capi-system, path: /validate-cluster } }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: clusters.cluster.x-k8s.io }
spec:
  group: cluster.x-k8s.io
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: { service: { name: webhook, namespace: capi-system, path: /convert } }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: plain.cluster.x-k8s.io }
spec: { group: cluster.x-k8s.io }
---
`;
const objects = planeObjects(yaml, { port: 9443, ca: 'PEM' });
const named = (name: string) => objects.find(({ metadata }) => metadata.name === name);

test('what needs nodes or cert-manager is left out, an empty document too', () => {
  assert.deepEqual(
    objects.map(({ kind }) => kind),
    ['Namespace', 'ValidatingWebhookConfiguration', 'CustomResourceDefinition', 'CustomResourceDefinition'],
  );
});

test('webhooks are called by URL, and believed by the given certificate', () => {
  const caBundle = Buffer.from('PEM').toString('base64');
  assert.deepEqual(named('capi')?.['webhooks'], [
    {
      name: 'validation.cluster.cluster.x-k8s.io',
      failurePolicy: 'Fail',
      clientConfig: { url: 'https://127.0.0.1:9443/validate-cluster', caBundle },
    },
  ]);
  assert.deepEqual(field(named('clusters.cluster.x-k8s.io'), 'spec', 'conversion'), {
    strategy: 'Webhook',
    webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1:9443/convert', caBundle } },
  });
});

test('nobody is asked to fill in a certificate, and all else stays', () => {
  assert.deepEqual(named('capi')?.metadata.annotations, { kept: 'yes' });
  assert.deepEqual(named('plain.cluster.x-k8s.io')?.['spec'], { group: 'cluster.x-k8s.io' });
});
