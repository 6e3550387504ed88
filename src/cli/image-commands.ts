/** `remuda image …`: what hosts run. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { collectJson, imageDetailJson, imageJson, phoneHomeKinds, verifyJson } from '../api/types.ts';
import type { ImageJson, ImportBody, ProgressJson } from '../api/types.ts';
import type { Answer } from './client.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { exits } from './failure.ts';
import { signingCommands } from './image-signing.ts';
import { renderCollected, renderImage, renderImages, renderVerify } from './image-view.ts';
import { plainText, sizeText } from './human.ts';
import { absolute, readText } from './input.ts';
import { ProgressBar } from './progress-bar.ts';
import { does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';

const pathOf = (image: string | undefined): string => `/v1/images/${segment(image)}`;
const shownBy =
  (bar: ProgressBar, label: string) =>
  ({ doneBytes, totalBytes }: ProgressJson): void =>
    bar.show({ label, done: doneBytes, total: totalBytes, unit: 'bytes' });

/** Brings a file of the daemon's machine, or what it fetches, into its store, with a bar. */
const bring = async (context: Context, body: ImportBody): Promise<Answer<ImageJson>> => {
  using bar = new ProgressBar(context.terminal);
  const onProgress = (progress: ProgressJson): void =>
    shownBy(bar, `${progress.step === 'download' ? 'downloading' : 'importing'} ${body.name}`)(progress);
  return await context.client.work('/v1/images', { body, schema: imageJson, onProgress });
};
/** A URL as it stands, a path from where the person is. */
const sourceOf = (source: string, cwd: string): Pick<ImportBody, 'path' | 'url'> =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(source) ? { url: source } : { path: absolute(source, cwd) };
const signatureBytesMax = 64 * 1024;
const renderBrought = (image: ImageJson): string =>
  `${plainText(image.name)} is ${image.digest}, ${sizeText(image.sizeBytes)} (${sizeText(image.storedBytes)} stored)\n`;
const verifyImage = async (context: Context, name: string | undefined): Promise<boolean> => {
  const answer = await (async () => {
    using bar = new ProgressBar(context.terminal);
    const onProgress = shownBy(bar, `verifying ${name ?? ''}`);
    return await context.client.work(`${pathOf(name)}/verify`, { body: {}, schema: verifyJson, onProgress });
  })();
  context.show(answer, renderVerify);
  return answer.value.ok;
};

interface ImportOptions {
  readonly name: string;
  readonly phoneHome?: ImportBody['phoneHome'];
  readonly digest?: string;
  readonly sha256?: string;
  readonly signature?: string;
}
const importCommand = (session: Session, image: Command): void => {
  const command = leaf(
    image,
    'import <file-or-url>',
    'bring a disk image (raw, QCOW2, or raw packed by zstd, gzip or xz) into the daemon\u2019s store; the daemon reads or fetches it',
  )
    .requiredOption('--name <name>', 'what to call it')
    .addOption(new Option('--phone-home <who>', 'who tells that the system is up').choices(phoneHomeKinds))
    .option('--sha256 <hex>', 'refuse the file, before it is read, unless it has this SHA-256; needed for http:')
    .option('--digest <sha256>', 'refuse any other image: the SHA-256 of its raw bytes')
    .option('--signature <file>', 'its signature, from this machine; else FILE.sig beside the file');
  does<ImportOptions>(session, command, async (context, [source = ''], options) => {
    const { name, phoneHome, digest, sha256, signature } = options;
    const answer = await bring(context, {
      ...sourceOf(source, context.terminal.cwd),
      name,
      ...(phoneHome === undefined ? {} : { phoneHome }),
      ...(digest === undefined ? {} : { expectDigest: digest }),
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(signature === undefined ? {} : { signature: await readText(context, signature, signatureBytesMax) }),
    });
    context.show(answer, renderBrought);
  });
};

export const imageCommands = (session: Session, program: Command): void => {
  const image = program.command('image').alias('images').description('what hosts run');
  const build = leaf(image, 'build <recipe>', 'build an image from a recipe of images/ and bring it into the daemon\u2019s store')
    .option('--name <name>', 'what to call it; else the recipe\u2019s name')
    .option('--release <name>', 'told apart in the running system');
  does<{ name?: string; release?: string }>(session, build, async (context, [recipe = ''], options) => {
    const value = await session.deps.local.buildImage({
      recipe,
      ...options,
      onLine: (line) => context.terminal.error(`${plainText(line)}\n`),
      bring: async (body) => (await bring(context, body)).value,
    });
    context.show({ raw: value, value }, renderBrought);
  });

  importCommand(session, image);
  signingCommands(session, image);
  const gc = leaf(image, 'gc', 'take away images without a name that no claim wants, and files that no image needs').option(
    '--dry-run',
    'say what would go, and take nothing away',
  );
  does<{ dryRun?: boolean }>(session, gc, async (context, _args, { dryRun = false }) =>
    context.show(await context.client.post('/v1/images/collect', { dryRun }, collectJson), renderCollected),
  );
  does(session, leaf(image, 'list', 'all images').alias('ls'), async (context) =>
    context.show(await context.client.list('/v1/images', imageJson), ({ items }, look) => renderImages(items, look)),
  );
  does(session, leaf(image, 'show <image>', 'one image, by name or digest').alias('get'), async (context, [name]) =>
    context.show(await context.client.get(pathOf(name), imageDetailJson), renderImage),
  );
  does(session, leaf(image, 'verify <image>', 'read every chunk back and compare its hash'), async (context, [name]) =>
    (await verifyImage(context, name)) ? exits.ok : exits.failed,
  );
  const remove = withConfirmation(leaf(image, 'remove <image>', 'take a name away, and the image with its last name')).alias('rm');
  does<ConfirmOptions>(session, remove, async (context, [name], options) => {
    await confirm(context, `Image ${name ?? ''} loses this name, and with its last name its chunks are removed.`, options);
    await context.client.delete(pathOf(name), z.undefined());
    context.show({ raw: { removed: name }, value: name }, (value) => `${value ?? ''} is removed\n`);
  });
};
