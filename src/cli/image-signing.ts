/** `remuda image sign` and `remuda image key generate`: where images are built, without a daemon. */
import type { Command } from 'commander';
import { absolute } from './input.ts';
import { plainText } from './human.ts';
import { ProgressBar } from './progress-bar.ts';
import { does, leaf, number } from './session.ts';
import type { Session } from './session.ts';

export const signingCommands = (session: Session, image: Command): void => {
  const { local } = session.deps;
  const sign = leaf(image, 'sign <file>', 'sign a disk image; an import finds FILE.sig beside FILE by itself')
    .requiredOption('--key <file>', 'the private key: remuda image key generate')
    .option('--out <file>', 'where to write the signature; else FILE.sig')
    .option('--chunk-bytes <bytes>', 'limits.chunkBytes of the daemon, where it is set', number);
  does<{ key: string; out?: string; chunkBytes?: number }>(session, sign, async (context, [file = ''], options) => {
    const { cwd } = context.terminal;
    const value = await (async () => {
      using bar = new ProgressBar(context.terminal);
      return await local.signImage({
        file: absolute(file, cwd),
        keyFile: absolute(options.key, cwd),
        ...(options.out === undefined ? {} : { output: absolute(options.out, cwd) }),
        ...(options.chunkBytes === undefined ? {} : { chunkBytes: options.chunkBytes }),
        onProgress: ({ doneBytes, totalBytes }) =>
          bar.show({ label: `reading ${file}`, done: doneBytes, total: totalBytes, unit: 'bytes' }),
      });
    })();
    context.show(
      { raw: value, value },
      ({ digest, keyId, output }) => `${digest} is signed by key ${keyId.slice(0, 16)}: ${plainText(output)}\n`,
    );
  });

  const key = image.command('key').description('keys that sign images');
  does(
    session,
    leaf(key, 'generate <file>', 'make a key pair: FILE is the private key, FILE.pub the public one'),
    async (context, [file = '']) => {
      const value = await local.generateKey({ file: absolute(file, context.terminal.cwd) });
      context.show(
        { raw: value, value },
        ({ keyId, publicKey, privateFile, publicFile }) =>
          `key ${keyId}\nprivate: ${plainText(privateFile)} (keep it secret)\npublic:  ${plainText(publicFile)}\n` +
          `To trust it, add to images.trust of the configuration:\n  - name: NAME\n    publicKey: ${publicKey}\n`,
      );
    },
  );
};
