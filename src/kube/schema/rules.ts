/** What a structural schema cannot say of our kinds, in CEL: each rule with the sentence that kubectl shows. */

/** One entry of `x-kubernetes-validations`. With `oldSelf` in it a rule is asked at updates only. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  /** Where in the object, as `.spec.x`; the object itself when absent. */
  readonly fieldPath?: string;
}
/** As zod's `meta` takes them. */
export const ruled = (...rules: readonly Rule[]): { readonly 'x-kubernetes-validations': readonly Rule[] } => ({
  'x-kubernetes-validations': rules,
});
/** May be absent; once it stands it stays as it is. */
export const fixedOnceSet = (field: string, why: string): Rule => ({
  rule: `!has(oldSelf.${field}) || (has(self.${field}) && self.${field} == oldSelf.${field})`,
  message: `${field} cannot be changed or taken away: ${why}`,
  fieldPath: `.${field}`,
});
/** A required field that never changes. */
export const fixed = (field: string, why: string): Rule => ({
  rule: `self.${field} == oldSelf.${field}`,
  message: `${field} cannot be changed: ${why}`,
  fieldPath: `.${field}`,
});
export const notBoth = (first: string, second: string, instead: string): Rule => ({
  rule: `!(has(self.${first}) && has(self.${second}))`,
  message: `${first} and ${second} exclude each other: ${instead}`,
});
/** What only a controller may write on a machine has no place in a template. */
export const notInTemplates = (field: string): Rule => ({
  rule: `!has(self.${field})`,
  message: `a template names no ${field}: the controller gives every machine its own`,
  fieldPath: `.${field}`,
});

export const claimIdIsFixed = fixedOnceSet('claimID', 'by it the machine finds its host again; delete the Machine to get another one');
export const providerIdIsFixed = fixedOnceSet('providerID', 'the Node carries it for as long as it lives');
export const hostOrSelector = notBoth('host', 'hostSelector', 'name one host, or say what it must be like');
export const expressionHasValues: Rule = {
  rule: "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
  message: 'In and NotIn need values; Exists and DoesNotExist take none',
};
const diskFields = ['serial', 'wwn', 'minSize', 'maxSize', 'pick'];
export const diskRuleSaysSomething: Rule = {
  rule: diskFields.map((field) => `has(self.${field})`).join(' || '),
  message: 'name the disk by serial, wwn, minSize, maxSize or pick; without disk the host must have exactly one',
};
export const diskSizesFit: Rule = {
  rule: '!has(self.minSize) || !has(self.maxSize) || quantity(self.minSize).compareTo(quantity(self.maxSize)) <= 0',
  message: 'no disk fits: minSize is more than maxSize',
};
/** Of the whole object: the status tells whether somebody relies on the endpoint already. */
export const endpointIsFixed: Rule = {
  rule: [
    '!(has(oldSelf.status) && has(oldSelf.status.initialization) && has(oldSelf.status.initialization.provisioned)',
    '&& oldSelf.status.initialization.provisioned)',
    '|| !has(oldSelf.spec) || !has(oldSelf.spec.controlPlaneEndpoint) || !has(oldSelf.spec.controlPlaneEndpoint.host)',
    '|| (has(self.spec) && has(self.spec.controlPlaneEndpoint) && self.spec.controlPlaneEndpoint == oldSelf.spec.controlPlaneEndpoint)',
  ].join(' '),
  message: 'controlPlaneEndpoint cannot be changed any more: certificates and kubeconfigs of the cluster name it',
  fieldPath: '.spec',
};
