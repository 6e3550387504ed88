/** `remuda image …`: what hosts run. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { imageDetailJson, imageJson, phoneHomeKinds, verifyJson } from '../api/types.ts';
import type { ImageJson, ImportBody, ProgressJson } from '../api/types.ts';
import type { Answer } from './client.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { exits } from './failure.ts';
import { renderImage, renderImages, renderVerify } from './image-view.ts';
import { plainText, sizeText } from './human.ts';
import { absolute } from './input.ts';
import { ProgressBar } from './progress-bar.ts';
import { does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';

const pathOf = (image: string | undefined): string => `/v1/images/${segment(image)}`;
const shownBy =
  (bar: ProgressBar, label: string) =>
  ({ doneBytes, totalBytes }: ProgressJson): void =>
    bar.show({ label, done: doneBytes, total: totalBytes, unit: 'bytes' });

/** Brings a file of the daemon's machine into its store, with a bar. */
const bring = async (context: Context, body: ImportBody): Promise<Answer<ImageJson>> => {
  using bar = new ProgressBar(context.terminal);
  return await context.client.work('/v1/images', { body, schema: imageJson, onProgress: shownBy(bar, `importing ${body.name}`) });
};
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

  const fromFile = leaf(
    image,
    'import <file>',
    'bring a raw disk image (perhaps compressed) into the daemon\u2019s store; the daemon reads the file',
  )
    .requiredOption('--name <name>', 'what to call it')
    .addOption(new Option('--phone-home <who>', 'who tells that the system is up').choices(phoneHomeKinds))
    .option('--digest <sha256>', 'refuse any other image');
  does<{ name: string; phoneHome?: ImportBody['phoneHome']; digest?: string }>(session, fromFile, async (context, [file = ''], options) => {
    const answer = await bring(context, {
      path: absolute(file, context.terminal.cwd),
      name: options.name,
      ...(options.phoneHome === undefined ? {} : { phoneHome: options.phoneHome }),
      ...(options.digest === undefined ? {} : { expectDigest: options.digest }),
    });
    context.show(answer, renderBrought);
  });
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
