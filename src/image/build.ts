/** Build: runs a recipe of images/ and imports the disk image that it leaves. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RemudaError, reasonOf } from '../errors.ts';
import type { LabWorld, ProcessEnd } from '../world/lab-world.ts';
import { isSha256 } from './digest.ts';
import type { ImportOptions } from './import.ts';
import type { PhoneHome } from './manifest.ts';
import type { FileSource } from './source.ts';

/** What each recipe leaves in its result directory. */
const recipes = {
  tiny: { raw: 'tiny.raw', about: 'tiny.json', phoneHome: 'image' },
  debian: { raw: 'debian.raw', about: 'debian.json', phoneHome: 'cloud-init' },
  // Who calls home is the image's own program, after the join and not before it.
  kubernetes: { raw: 'kubernetes.raw', about: 'kubernetes.json', phoneHome: 'image' },
  'kubernetes-control-plane': { raw: 'kubernetes-control-plane.raw', about: 'kubernetes-control-plane.json', phoneHome: 'image' },
} as const satisfies Record<string, { raw: string; about: string; phoneHome: PhoneHome }>;
export type RecipeName = keyof typeof recipes;
export const isRecipe = (name: string): name is RecipeName => Object.hasOwn(recipes, name);

export interface BuildOptions<T> extends Pick<ImportOptions, 'onProgress' | 'signal'> {
  /** Where the image goes: a store, or a daemon that has one. */
  readonly store: { import(source: FileSource, options: ImportOptions): Promise<T> };
  /** What the image is called; where it is not said as the recipe calls it, or by the recipe's name. */
  readonly imageName?: string;
  /** Told apart in the running system; the same release builds the same bytes. */
  readonly release?: string;
  /** Lines of the build, as they come. */
  readonly onLine?: (line: string) => void;
  /** Absolute path; the repository's own `images/build.sh` where it is not said. */
  readonly script?: string;
}

const buildSecondsMost = 3600;
const about = z.object({ name: z.string().min(1).optional(), sha256: z.string().refine(isSha256), sizeBytes: z.number().int().positive() });

/**
 * Builds the recipe, or finds it in the recipe's own cache, and imports it; whether the bytes are those that were built is checked.
 * Throws `bad-request` (no such recipe), `internal` with the last line of a build that failed, and what an import throws.
 */
export const buildRecipe = async <T>(world: Pick<LabWorld, 'processes' | 'files'>, name: string, options: BuildOptions<T>): Promise<T> => {
  if (!isRecipe(name))
    throw new RemudaError('bad-request', `there is no recipe ${JSON.stringify(name)}; there is: ${Object.keys(recipes).join(', ')}`);
  const recipe = recipes[name];
  const folder = await runRecipe(world, name, options);
  const { sha256, name: ownName } = await readAbout(world, `${folder}/${recipe.about}`);
  return options.store.import(
    { file: `${folder}/${recipe.raw}` },
    {
      name: options.imageName ?? ownName ?? name,
      phoneHome: recipe.phoneHome,
      expectDigest: sha256,
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
};

/** The result directory: the last line of the script's stdout. */
const runRecipe = async (
  { processes }: Pick<LabWorld, 'processes'>,
  name: RecipeName,
  options: Omit<BuildOptions<never>, 'store'>,
): Promise<string> => {
  options.signal?.throwIfAborted();
  const script = options.script ?? fileURLToPath(new URL('../../images/build.sh', import.meta.url));
  const release = options.release === undefined ? [] : ['--release', options.release];
  // Called off, all that the script has started must end; timeout(1) hands a signal on, but not one that comes just as it has started the script.
  const build = await processes.spawn('timeout', ['--kill-after=10', String(buildSecondsMost), script, name, ...release], {
    stdout: 'lines',
    stderr: 'lines',
    group: true,
  });
  const last = { stdout: '', stderr: '' };
  build.lines((line, from) => {
    if (line.trim() !== '') last[from] = line.trim();
    options.onLine?.(line);
  });
  const stop = (): void => void build.kill('SIGTERM');
  options.signal?.addEventListener('abort', stop, { once: true });
  // It may have been called off while the process started.
  if (options.signal?.aborted === true) stop();
  const end = await build.wait();
  options.signal?.removeEventListener('abort', stop);
  options.signal?.throwIfAborted();
  if (end.code !== 0)
    throw new RemudaError('internal', `the build of ${name} ended with ${endText(end)}: ${last.stderr || 'it did not say why'}`, {
      values: { ...end },
    });
  if (!last.stdout.startsWith('/'))
    throw new RemudaError('internal', `the build of ${name} did not say where its result is`, { values: { said: last.stdout } });
  return last.stdout;
};
const endText = ({ code, signal }: ProcessEnd): string =>
  code === 124 ? `the time limit of ${buildSecondsMost} s` : code === undefined ? `signal ${signal}` : `code ${code}`;

const readAbout = async ({ files }: Pick<LabWorld, 'files'>, file: string): Promise<z.infer<typeof about>> => {
  const bytes = await files.read(file, { offset: 0, length: 64 * 1024 });
  try {
    return about.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new RemudaError('internal', `the build's own account ${file} cannot be read: ${reasonOf(cause)}`, { cause });
  }
};
