/** `remuda controller` is ready when it would do its work: every reason why it would not is told at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readinessOf } from '../src/controller.ts';

const inLine = { ready: false, isInLine: true, why: 'another controller, first, holds the lease ns/remuda' } as const;
const unheard = { ready: false, why: 'the lease ns/remuda could not be read or taken: connection refused' } as const;
const problem = 'the token’s role is viewer; operator is needed';
for (const [name, told, missing, isReady, lines] of [
  ['it leads, and the rack is heard', { ready: true }, undefined, true, ['ok']],
  ['it waits behind another, so that a Deployment of two is rolled out', inLine, undefined, true, [`ok: ${inLine.why}`]],
  ['it waits behind another, and could not take over', inLine, problem, false, [problem]],
  ['it leads nothing: the rack is not heard', { ready: true }, problem, false, [problem]],
  ['the API server is not heard', unheard, undefined, false, [unheard.why]],
  ['nothing is heard', unheard, problem, false, [unheard.why, problem]],
  ['it has not begun', undefined, undefined, false, ['it starts']],
] as const)
  test(name, () => assert.deepEqual(readinessOf(told, missing), { isReady, lines }));
