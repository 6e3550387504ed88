/** What people read of a step: words, not its name in the program. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Step } from '../../src/host/plan.ts';
import { stepText } from '../../src/host/step-text.ts';

describe('a step in words', () => {
  const cases: readonly (readonly [Step, string])[] = [
    [{ do: 'wait', until: 1, why: 'the agent works' }, 'the agent works'],
    [{ do: 'identify' }, 'asking its BMC what it is'],
    [{ do: 'confirm' }, 'asking its BMC whether a new network card is its own'],
    [{ do: 'power-off', why: 'a boot begins from off' }, 'switching its power off: a boot begins from off'],
    [{ do: 'open-boot' }, 'opening a boot from the network'],
    [{ do: 'boot-once' }, 'setting its next boot to the network, once'],
    [{ do: 'power-on', why: 'the boot is armed' }, 'switching its power on: the boot is armed'],
    [{ do: 'record-powered' }, 'its power is on'],
    [{ do: 'fail-boot', code: 'internal', reason: 'the agent fell silent' }, 'giving this boot up: the agent fell silent'],
    [{ do: 'time-out', step: 'boot', reason: 'not provisioned' }, 'giving up: not provisioned'],
    [{ do: 'fail', step: 'identify', code: 'bad-request', reason: 'no MAC' }, 'giving up: no MAC'],
  ];
  for (const [step, says] of cases) test(step.do, () => assert.equal(stepText(step), says));
});
