/** Replies of a Redfish service: JSON with an ETag, and refusals as the Base message registry words them. */
import type { HttpReply } from '../../world/world.ts';

/** DSP8011 Base registry: message id → status, severity, text (`%1` is the argument) and what to do. */
const messages = {
  AccessDenied: [
    401,
    'Critical',
    'While attempting to establish a connection to %1, the service denied access.',
    'Log in with valid credentials.',
  ],
  InsufficientPrivilege: [403, 'Critical', 'There are insufficient privileges for the operation.', 'Log in as an administrator.'],
  ResourceMissingAtURI: [404, 'Critical', 'The resource at the URI %1 was not found.', 'Follow the links of the service.'],
  MalformedJSON: [400, 'Critical', 'The request body was malformed JSON and could not be parsed by the receiving service.', 'Send JSON.'],
  PropertyMissing: [400, 'Warning', 'The property %1 is a required property and must be included in the request.', 'Add the property.'],
  PropertyUnknown: [400, 'Warning', 'The property %1 is not in the list of valid properties for the resource.', 'Remove the property.'],
  PropertyNotWritable: [400, 'Warning', 'The property %1 is a read-only property and cannot be assigned a value.', 'Remove the property.'],
  PropertyValueNotInList: [
    400,
    'Warning',
    'The value for the property %1 is not in the list of acceptable values.',
    'Choose a listed value.',
  ],
  ActionParameterMissing: [
    400,
    'Critical',
    'The action requires that the parameter %1 be present in the request body.',
    'Add the parameter.',
  ],
  ActionParameterNotSupported: [400, 'Warning', 'The parameter %1 is not supported on the target resource.', 'Choose a listed value.'],
  ResourceInStandby: [409, 'Critical', 'The request could not be performed because the resource is in standby.', 'Turn the host on first.'],
  ResourceInUse: [409, 'Warning', 'The change to %1 cannot be made while the host is on.', 'Turn the host off first.'],
  PreconditionFailed: [412, 'Critical', 'The ETag supplied did not match the ETag required to change this resource.', 'Read it again.'],
  ODataVersionNotSupported: [412, 'Critical', 'The OData-Version %1 is not supported.', 'Send 4.0.'],
  PreconditionRequired: [428, 'Critical', 'A precondition header or annotation is required to change this resource.', 'Send If-Match.'],
  SessionLimitExceeded: [
    503,
    'Critical',
    'The session establishment failed: the number of simultaneous sessions is exceeded.',
    'End a session.',
  ],
  ServiceTemporarilyUnavailable: [503, 'Critical', 'The service is temporarily unavailable. Retry in %1 seconds.', 'Retry later.'],
  InternalError: [500, 'Critical', 'The request failed due to an internal service error. The service is still operational.', 'Try again.'],
} as const satisfies Record<string, readonly [number, 'Critical' | 'Warning', string, string]>;
export type MessageId = keyof typeof messages;

/** A refusal; thrown by what decides, turned into a reply in one place. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly id: MessageId;
  readonly argument: string;
  readonly headers: Readonly<Record<string, string>>;
  constructor(id: MessageId, argument = '', headers: Readonly<Record<string, string>> = {}) {
    super(id);
    this.id = id;
    this.argument = argument;
    this.headers = headers;
  }
}

/** On every reply of a Redfish service (DSP0266 §8.2 "Response headers"). */
export const common = { 'odata-version': '4.0', 'cache-control': 'no-store' } as const;

/** DSP0266 §8.6 "Error responses". */
export const refusalReply = (refusal: Refusal, asObject: boolean): HttpReply => {
  const [status, severity, template, resolution] = messages[refusal.id];
  const text = template.replace('%1', refusal.argument);
  const info = {
    '@odata.type': '#Message.v1_1_2.Message',
    MessageId: `Base.1.18.${refusal.id}`,
    Message: text,
    MessageArgs: template.includes('%1') ? [refusal.argument] : [],
    MessageSeverity: severity === 'Critical' ? 'Critical' : 'Warning',
    Severity: severity,
    Resolution: resolution,
  };
  const error = { code: `Base.1.18.${refusal.id}`, message: text, '@Message.ExtendedInfo': asObject ? info : [info] };
  return json(status, { error }, refusal.headers);
};

export const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): HttpReply => ({
  status,
  headers: { ...common, 'content-type': 'application/json; charset=utf-8', ...headers },
  body: JSON.stringify(body),
});

/** Done, with nothing to say. */
export const noContent: HttpReply = { status: 204, headers: common };

/** A strong ETag of a body: FNV-1a, 32 bits (it tells states of one small resource apart, and guards nothing). */
export const etagOf = (body: unknown): string => {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(JSON.stringify(body))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `"${hash.toString(16).padStart(8, '0')}"`;
};
