#!/usr/bin/env node
/** The door: builds the real world, hands it to the command line, and says how the process ends. */
import about from '../package.json' with { type: 'json' };
import { runCli } from './cli/program.ts';
import type { BuildWish, LocalCommands } from './cli/session.ts';
import type { ImageJson } from './api/types.ts';
import { fullExample, minimalExample } from './config/example.ts';
import { RemudaError } from './errors.ts';
import { realLabWorld } from './world/real-lab.ts';
import type { LabWorld } from './world/lab-world.ts';
import { realTerminal } from './world/terminal.ts';

const terminal = realTerminal();
const ending = new AbortController();
/** The first signal ends what runs in good order, the second one at once. */
const end = (signal: 'SIGINT' | 'SIGTERM', exitCode: number): void => {
  process.on(signal, () => {
    if (ending.signal.aborted) process.exit(exitCode);
    ending.abort(new DOMException(`ended by ${signal}`, 'AbortError'));
  });
};
end('SIGINT', 130);
end('SIGTERM', 143);

const worldAt = (level: string | { readonly current: string }, signal = ending.signal): LabWorld =>
  realLabWorld({ signal, log: { level, destination: 'stderr', pretty: terminal.errorIsTty } });
const world = worldAt('warn');

/** Loaded when they are asked for, so that a question to the daemon does not wait for a database and for QEMU. */
const local: LocalCommands = {
  serve: async ({ config: path = '/etc/remuda/remuda.yaml' }) => {
    const { readConfig, serve } = await import('./serve.ts');
    const { absolute } = await import('./cli/input.ts');
    // Where a service manager hands the key over (systemd: LoadCredential), only it knows the place.
    const keyFile = terminal.env['REMUDA_KEY_FILE'];
    const reread = async () => {
      const read = await readConfig(world.files, absolute(path, terminal.cwd));
      return keyFile === undefined || keyFile === '' ? read : { ...read, keyFile };
    };
    const config = await reread();
    const logLevel = { current: config.log as string };
    // Its world outlives the signal, so that BMC sessions are given back and the store is closed.
    const life = new AbortController();
    const options = {
      version: about.version,
      until: ending.signal,
      say: (text: string) => terminal.write(text),
      reread,
      logLevel,
      onHangup: (reload: () => void) => void process.on('SIGHUP', reload),
    };
    await serve(worldAt(logLevel, life.signal), config, options).finally(() => life.abort(new DOMException('served', 'AbortError')));
    return 0;
  },
  lab: async (args) => {
    const { labCommand } = await import('./lab/command.ts');
    // A terminal that is closed ends it as well, or what it started would stay.
    process.once('SIGHUP', () => ending.abort(new DOMException('ended by SIGHUP', 'AbortError')));
    // What the laboratory started it must also be able to end, after the signal that asks for it.
    return labCommand(args, { lab: worldAt('warn', new AbortController().signal), terminal, interrupt: ending.signal });
  },
  buildImage: async ({ recipe, name, release, onLine, bring }: BuildWish): Promise<ImageJson> => {
    const { buildRecipe } = await import('./image/build.ts');
    let brought: ImageJson | undefined;
    await buildRecipe(world, recipe, {
      store: {
        import: async ({ file }, { name: imageName, phoneHome, expectDigest }) => {
          brought = await bring({ path: file, name: imageName, phoneHome, expectDigest });
          return brought;
        },
      },
      ...(name === undefined ? {} : { imageName: name }),
      ...(release === undefined ? {} : { release }),
      onLine,
      signal: ending.signal,
    });
    if (brought === undefined) throw new RemudaError('internal', `the build of ${recipe} brought nothing into the store`);
    return brought;
  },
  signImage: async (wish) => {
    const { signFile } = await import('./image/sign.ts');
    return signFile(world, { ...wish, signal: ending.signal });
  },
  generateKey: async ({ file }) => {
    const { generateKey } = await import('./image/sign.ts');
    return generateKey(world, file);
  },
  restore: async ({ config: path = '/etc/remuda/remuda.yaml', data, keyFile, ...wish }) => {
    const { restore } = await import('./restore.ts');
    const { readConfig } = await import('./serve.ts');
    const envKey = terminal.env['REMUDA_KEY_FILE'];
    const given = keyFile ?? (envKey === '' ? undefined : envKey);
    // Who says it by the environment says it to the daemon too.
    const isKept = keyFile !== undefined && (envKey === undefined || envKey === '');
    if (data !== undefined) return restore(world, { ...wish, data, keyFile: given, keepKey: isKept });
    const config = await readConfig(world.files, path, 'name folder and key yourself: --data FOLDER --key-file FILE');
    const { keyFile: configured, oldKeyFiles } = config;
    return restore(world, {
      ...wish,
      data: config.data,
      keyFile: given ?? configured,
      oldKeyFiles,
      keepKey: isKept && configured === undefined,
    });
  },
  controller: async (wish) => {
    const { runController } = await import('./controller.ts');
    // Its world outlives the signal, so that the lease is given back.
    const life = new AbortController();
    await runController(worldAt(wish.logLevel, life.signal), wish, { version: about.version, until: ending.signal }).finally(() =>
      life.abort(new DOMException('ended', 'AbortError')),
    );
    return 0;
  },
  capiManifests: async (folder) => {
    const { packageFiles } = await import('./kube/package/files.ts');
    const files = [...packageFiles(about.version)];
    await world.files.makeFolder(folder);
    for (const [name, text] of files) await world.files.write(`${folder}/${name}`, text);
    return files.map(([name]) => `${folder}/${name}`);
  },
  config: {
    check: async (path) => (await import('./config/check.ts')).checkConfig(world, path),
    example: (minimal) => (minimal ? minimalExample : fullExample),
  },
};

process.exitCode = await runCli(process.argv.slice(2), { world, terminal, local, version: about.version });
