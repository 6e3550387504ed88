/** `remuda bmc probe`: what a management controller tells a stranger, and the command that enrols its server. */
import type { Command } from 'commander';
import { probeJson } from '../api/types.ts';
import type { ProbeJson } from '../api/types.ts';
import { placeIn } from './bmc-option.ts';
import { usage } from './failure.ts';
import type { Look } from './host-view.ts';
import { plainText } from './human.ts';
import { does, leaf } from './session.ts';
import type { Session } from './session.ts';

const redfishLines = ({ redfish }: ProbeJson, { style }: Look): readonly string[] => {
  if (redfish === null) return [];
  const { url, vendor, product, fingerprint, distrust } = redfish;
  const maker = plainText([vendor, product].filter((word) => word !== null).join(' '));
  return [
    `${style('good', 'Redfish')} answers at ${plainText(url)}${maker === '' ? '' : `: ${maker}`}`,
    fingerprint === null
      ? 'its certificate comes from an authority that the daemon\u2019s machine believes'
      : `its certificate is not believed: ${plainText(distrust ?? 'no authority vouches for it')}\nSHA-256 ${plainText(fingerprint)}: compare it with what the BMC shows on its own page, then pin it`,
  ];
};
const ipmiLines = ({ ipmi }: ProbeJson, { style }: Look): readonly string[] => {
  if (ipmi === null) return [];
  const { url, v20, suites, usable } = ipmi;
  if (!v20) return [`${style('warn', 'IPMI 1.5')} answers at ${plainText(url)}: it cannot be driven, 2.0 is needed`];
  const told = suites.length === 0 ? 'it does not tell its cipher suites' : `cipher suites ${suites.join(', ')}`;
  const why = usable === false ? '; 17 and 3 are not among them: allow another one by --bmc-suite, if you must' : '';
  return [`${style('good', 'IPMI 2.0')} answers at ${plainText(url)}: ${told}${why}`];
};

/** The strongest that it tells and that is none of the usual two; suite 0 has no authentication. */
const suiteFor = ({ suites, usable }: NonNullable<ProbeJson['ipmi']>): string => {
  const strongest = Math.max(...suites, 0);
  return usable === false && strongest > 0 ? ` --bmc-suite ${strongest}` : '';
};
const enrolment = (url: string, more: string): string => `remuda host enrol NAME --bmc-url ${url} --bmc-username USER${more}`;
/** The exact next command; undefined where what answers cannot be driven. */
export const nextCommand = ({ protocol, redfish, ipmi }: ProbeJson): string | undefined => {
  if (protocol === 'redfish' && redfish !== null)
    return enrolment(redfish.url, redfish.fingerprint === null ? '' : ` --bmc-fingerprint ${redfish.fingerprint}`);
  return ipmi === null || !ipmi.v20 ? undefined : enrolment(ipmi.url, suiteFor(ipmi));
};

const renderProbe = (probe: ProbeJson, look: Look): string => {
  const next = nextCommand(probe);
  const lines = [
    ...redfishLines(probe, look),
    ...ipmiLines(probe, look),
    ...(probe.note === null ? [] : [look.style('dim', `no answer by the other protocol: ${plainText(probe.note)}`)]),
  ];
  const after = next === undefined ? '' : `${look.style('bold', 'next:')} ${plainText(next)}\n`;
  return `${lines.join('\n')}\n${after}`;
};

/** What the daemon is asked: a port without a protocol may be either's, as one is of TCP and the other of UDP. */
const targetOf = (said: string): { host: string; redfishPort?: number; ipmiPort?: number } => {
  const { scheme, host, port } = placeIn('bmc probe', said);
  if (scheme === 'http') throw usage(`bmc probe ${said}: Redfish is asked over TLS alone`, `ask it over TLS: remuda bmc probe ${host}`);
  return {
    host,
    ...(port === undefined || scheme === 'ipmi' ? {} : { redfishPort: port }),
    ...(port === undefined || scheme === 'https' ? {} : { ipmiPort: port }),
  };
};

export const bmcCommands = (session: Session, program: Command): void => {
  const bmc = program.command('bmc').description('management controllers that are not known yet');
  const probe = leaf(bmc, 'probe <place>', 'which protocol it speaks, and the fingerprint to pin; no password is sent').addHelpText(
    'after',
    `
PLACE is an address or a name: 10.0.0.5. Where its ports are not the usual ones: https://10.0.0.5:8443 says Redfish's, ipmi://10.0.0.5:6623
IPMI's, and 10.0.0.5:8443 is asked by both protocols.
`,
  );
  does(session, probe, async (context, [said = '']) => {
    context.show(await context.client.post('/v1/bmc-probe', targetOf(said), probeJson), renderProbe);
  });
};
