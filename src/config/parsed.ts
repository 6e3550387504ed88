/** Text of the configuration that becomes a value, or says what it should be. */
import { z } from 'zod';
import { parseIpv4 } from '../wire/address.ts';

/** A string that `parse` understands; `what` says in the fault what would be right. */
export const parsed = <T>(parse: (text: string) => T | undefined, what: string) =>
  z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not ${what}` });
    return z.NEVER;
  });
export const ipv4 = parsed(parseIpv4, 'an IPv4 address');
