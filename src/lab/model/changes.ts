/** What a virtual BMC lets its clients change: the power and the boot override of its host, under the rules of ETags. */
import { z } from 'zod';
import type { HttpReply, HttpRequest } from '../../world/world.ts';
import { bodyOf, found, resourceReply } from './door.ts';
import type { Bmc } from './door.ts';
import { bootEnabled, bootTargets, resetTypes } from './host-control.ts';
import { etagOf, noContent, Refusal } from './replies.ts';
import * as resources from './resources.ts';
import type { Resource } from './resources.ts';

/** The settings resource; only BMCs with the quirk have one. */
export const settingsOf = ({ quirks, view }: Bmc, request: HttpRequest): Resource =>
  found(request, quirks.bootInSettings ? resources.systemSettings(view) : undefined);

const resetBody = z.object({ ResetType: z.enum(resetTypes) });

/** POST …/Actions/ComputerSystem.Reset (DSP0268). */
export const reset = async ({ control }: Bmc, request: HttpRequest): Promise<HttpReply> => {
  const body = bodyOf(request);
  const parsed = resetBody.safeParse(body);
  if (!parsed.success)
    throw new Refusal(
      z.object({ ResetType: z.string() }).safeParse(body).success ? 'ActionParameterNotSupported' : 'ActionParameterMissing',
      'ResetType',
    );
  await control.reset(parsed.data.ResetType);
  return noContent;
};

const bootPatch = (mode: 'Legacy' | 'UEFI' | undefined) =>
  z.strictObject({
    Boot: z.strictObject({
      BootSourceOverrideTarget: z.enum(bootTargets).optional(),
      BootSourceOverrideEnabled: z.enum(bootEnabled).optional(),
      ...(mode === undefined ? {} : { BootSourceOverrideMode: z.literal(mode).optional() }),
    }),
  });

/** What a PATCH that does not fit the schema is told. */
const issueRefusal = (error: z.ZodError): Refusal => {
  const [issue] = error.issues;
  const name = String(issue?.path.at(-1) ?? 'Boot');
  if (issue?.code === 'unrecognized_keys') return new Refusal('PropertyUnknown', issue.keys[0] ?? name);
  return new Refusal(issue?.code === 'invalid_value' ? 'PropertyValueNotInList' : 'PropertyMissing', name);
};

/** PATCH of Boot, in the system or in its settings resource. */
export const patchBoot = (bmc: Bmc, request: HttpRequest, place: 'system' | 'settings'): HttpReply => {
  const { control, quirks, view } = bmc;
  const read = (): Resource => (place === 'settings' ? settingsOf(bmc, request) : resources.system(view));
  checkIfMatch(bmc, request, read());
  const { mode } = control.override;
  const parsed = bootPatch(quirks.noBootMode ? undefined : mode).safeParse(bodyOf(request));
  if (!parsed.success) throw issueRefusal(parsed.error);
  if (quirks.bootInSettings && place === 'system') throw new Refusal('PropertyNotWritable', 'Boot');
  const { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled } = parsed.data.Boot;
  // DSP0268 BootSourceOverrideEnabled: Disabled ends the override, so no target stays; a target of None likewise.
  const off = enabled === 'Disabled' || target === 'None';
  const change = { ...(target === undefined ? {} : { target }), ...(enabled === undefined ? {} : { enabled }) };
  control.changeBoot(off ? { target: 'None', enabled: 'Disabled' } : change);
  return resourceReply(bmc, read());
};

/** DSP0266 §7.5.2 "ETags"; If-Match as in RFC 9110 §13.1.1. */
const checkIfMatch = ({ quirks }: Bmc, request: HttpRequest, current: Resource): void => {
  const given = request.headers['if-match'];
  if (given === undefined) {
    if (quirks.requiresIfMatch428) throw new Refusal('PreconditionRequired');
    return;
  }
  const tags = given.split(',').map((tag) => tag.trim());
  if (!tags.includes('*') && !tags.includes(etagOf(current))) throw new Refusal('PreconditionFailed');
};
