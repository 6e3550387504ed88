/** The user data of the old provider: what is filled in, what is left to cloud-init, what is refused and with which words. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { fillTemplate } from '../../../src/kube/packet/user-data.ts';

const values = { kubernetesVersion: 'v1.34.4', controlPlaneEndpoint: '192.0.2.9' };
const fill = (text: string): string => {
  const filled = fillTemplate(text, values);
  return 'userData' in filled ? filled.userData : assert.fail(filled.wrong);
};
describe('filled in', () => {
  for (const [given, wanted] of [
    ['echo {{ .kubernetesVersion }} {{.kubernetesVersion}}', 'echo v1.34.4 v1.34.4'],
    ['ip addr add {{ .controlPlaneEndpoint }} dev lo', 'ip addr add 192.0.2.9 dev lo'],
    ['equinixmetal://{{ `{{ v1.instance_id }}` }}', 'equinixmetal://{{ v1.instance_id }}'],
    ['{{ "{{ v1.instance_id }}" }}{{``}}', '{{ v1.instance_id }}'],
    ['{{ `{{ .apiKey }}` }}', '{{ .apiKey }}'],
    ['{{\t`a\nb`\n}}', 'a\nb'],
  ] as const)
    test(given, () => assert.equal(fill(given), wanted));
});
describe("cloud-init's own, or no template at all: as it is", () => {
  for (const text of [
    '',
    '## template: jinja\n#cloud-config\n',
    'provider-id: {{ ds.meta_data.provider_id }}',
    "{{ ds['meta_data'].x }} {{- v1.region | default('x') -}}",
    '{% if v1.distro == "debian" %} x {% endif %} {# .apiKey #}',
    '{"a":{"b":{"c":1}}} ${x} }} { { .apiKey } }',
    '#!/bin/sh\nprintf "$1"\n',
    '\u{1f40e} $& $1 $$',
  ])
    test(JSON.stringify(text), () => assert.equal(fill(text), text));
});
describe('refused', () => {
  for (const { text, wrong } of [
    {
      text: 'a\nb {{ .apiKey }}',
      wrong: /^line 2 of the bootstrap data, \{\{ \.apiKey \}\}: there is no API of Equinix Metal.*take the lines/,
    },
    { text: '{{ .cpemConfig }}', wrong: /\.cpemConfig.*CPEM/ },
    { text: '{{.emlbID}}', wrong: /\.emlbID.*load balancer is gone/ },
    { text: '{{ .Values.x }}', wrong: /^line 1 .*\{\{ … \}\}: of Go templates only/ },
    { text: '{{ .other }}', wrong: /\.other \}\}: of Go templates only/ },
    { text: '{{ if .x }}a{{ end }}', wrong: /only \.kubernetesVersion/ },
    { text: '{{ .kubernetesVersion | printf "%s" }}', wrong: /only \.kubernetesVersion/ },
    { text: '{{- .kubernetesVersion -}}', wrong: /write it out/ },
    { text: '{{ $x := "hush" }}', wrong: /write it out/ },
    { text: '{{ /* hush */ }}', wrong: /write it out/ },
    { text: '{{ printf "hush" }}', wrong: /write it out/ },
    { text: '{{ }}', wrong: /write it out/ },
    { text: 'x {{ v1.a', wrong: /line 1/ },
    { text: '{{ `never closed }}', wrong: /line 1/ },
  ])
    test(text, () => {
      const filled = fillTemplate(text, values);
      assert.ok('wrong' in filled);
      assert.match(filled.wrong, wrong);
      assert.ok(!filled.wrong.includes('hush'), 'what stands there may be a secret');
    });
  test('an endpoint that nobody knows yet', () => {
    const filled = fillTemplate('{{ .controlPlaneEndpoint }}', { ...values, controlPlaneEndpoint: undefined });
    assert.match('wrong' in filled ? filled.wrong : '', /no endpoint yet/);
  });
});
test('any text is filled in or refused, and nothing of a field is left that was filled in', () => {
  const parts = fc.constantFrom('{{', '}}', ' ', '`', '"', '.kubernetesVersion', '.apiKey', 'v1.x', '\n', '-', 'é', '{', '}', '\\');
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 40 }), (all) => {
      const text = all.join('');
      const filled = fillTemplate(text, values);
      if (!text.includes('{{')) assert.deepEqual(filled, { userData: text });
      if ('wrong' in filled) assert.match(filled.wrong, /^line \d+ of the bootstrap data/);
    }),
    { numRuns: 2_000 },
  );
});
test('hostile text costs no more than its length', () => {
  for (const piece of ['{{ `', '{{ v1', '{{', '{{ "', '{{ . ']) assert.ok('wrong' in fillTemplate(piece.repeat(20_000), values));
});
