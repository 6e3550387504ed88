/** A command in a network or mount namespace of its own, so that tests touch neither the interfaces nor the disks of this machine. */

/** For root a plain namespace; for others one inside a user namespace of their own. */
export const isolated = (what: 'net' | 'mount', command: readonly string[]): readonly [string, ...string[]] => {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return ['unshare', ...asRoot, `--${what}`, '--', ...command];
};
