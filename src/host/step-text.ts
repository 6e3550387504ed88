/** The next step in plain words: what people read of a host while it is being done. */
import type { Step } from './plan.ts';

const words: Readonly<Record<Exclude<Step['do'], 'wait'>, string>> = {
  identify: 'asking its BMC what it is',
  confirm: 'asking its BMC whether a new network card is its own',
  'power-off': 'switching its power off',
  'open-boot': 'opening a boot from the network',
  'boot-once': 'setting its next boot to the network, once',
  'power-on': 'switching its power on',
  'record-powered': 'its power is on',
  'fail-boot': 'giving this boot up',
  'time-out': 'giving up',
  fail: 'giving up',
};
/** `switching its power off: a boot begins from off` */
export const stepText = (step: Step): string => {
  if (step.do === 'wait') return step.why;
  const more = 'reason' in step ? step.reason : 'why' in step ? step.why : undefined;
  return more === undefined ? words[step.do] : `${words[step.do]}: ${more}`;
};
