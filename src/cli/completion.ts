/** Completion scripts for bash, zsh and fish, generated from the tree of commands, so that they cannot forget one. */
import type { Command, Option } from 'commander';

/** What the daemon, or the person's own file of contexts, has names of. */
export const nameKinds = ['host', 'claim', 'image', 'token', 'context'] as const;
export type NameKind = (typeof nameKinds)[number];
/** The hidden command that prints them. */
export const namesCommand = '__names';
const kindIn = (text: string): NameKind | undefined => {
  const [, word = ''] = /<(\w+)>/.exec(text) ?? [];
  return nameKinds.find((kind) => kind === word);
};

/** What may follow the words typed so far. */
export interface Place {
  /** The commands before: ``, `host`, `host show`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly {
    readonly flag: string;
    /** `-o` */
    readonly short: string | undefined;
    readonly description: string;
    readonly choices: readonly string[];
    /** Its value is one of these names. */
    readonly names: NameKind | undefined;
    /** A word of its own follows it. */
    readonly takesValue: boolean;
  }[];
  /** Fixed words an argument may be: on, off. */
  readonly choices: readonly string[];
  /** After so many other arguments. */
  readonly choicesAt: number;
  /** The first argument is one of these names. */
  readonly names: NameKind | undefined;
  /** An argument is a path: the shell completes it by itself. */
  readonly takesFile: boolean;
}

const shown = (command: Command): boolean => !command.name().startsWith('_');
/** `--token` takes the secret itself, not a token's name. */
const kindOf = (option: Option): NameKind | undefined => {
  if (option.long === '--token') return undefined;
  return option.long === '--image' ? 'image' : kindIn(option.flags.replace('<name>', `<${option.name()}>`));
};
/** `claim show <claim>` says it itself; `context use <name>` by the command above. */
const argumentKind = (command: Command): NameKind | undefined => {
  const [first] = command.registeredArguments;
  if (first === undefined) return undefined;
  const name = command.parent?.name() === 'context' && first.name() === 'name' ? 'context' : first.name();
  return nameKinds.find((kind) => kind === name);
};

const fileArgument = /file|folder/;
const named = (inner: Command): readonly string[] => [inner.name(), ...inner.aliases()];

/** Every place of the tree, the root first. */
export const placesOf = (command: Command, path = ''): readonly Place[] => {
  const here: Place = {
    path,
    commands: command.commands.filter(shown).map((inner) => ({ name: inner.name(), description: inner.description() })),
    options: command.options
      .filter((option) => !option.hidden && option.long !== undefined)
      .map((option) => ({
        flag: option.long ?? '',
        short: option.short,
        description: option.description,
        choices: option.argChoices ?? [],
        names: kindOf(option),
        takesValue: option.required || option.optional,
      })),
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    choicesAt: Math.max(
      0,
      command.registeredArguments.findIndex((argument) => argument.argChoices !== undefined),
    ),
    names: argumentKind(command),
    takesFile: command.registeredArguments.some((argument) => fileArgument.test(argument.name())),
  };
  // By its aliases a command is understood as well, though only its name is offered.
  const below = command.commands
    .filter(shown)
    .flatMap((inner) => named(inner).flatMap((name) => placesOf(inner, path === '' ? name : `${path} ${name}`)));
  return [here, ...below];
};

/** One word in single quotes, for all three shells. */
const quote = (text: string, shell: Shell): string =>
  shell === 'fish' ? `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'` : `'${text.replaceAll("'", "'\\''")}'`;
const wordsAt = (place: Place): string => [...place.commands.map(({ name }) => name), ...place.choices].join(' ');
const wordCases = (places: readonly Place[], shell: Shell): string =>
  places
    .map((place) => {
      const flags = [...place.options.map(({ flag }) => flag), '--help'].join(' ');
      const from = place.choicesAt > 0 ? ` from=${place.choicesAt}` : '';
      const files = place.takesFile ? ' files=1' : '';
      return `    ${quote(place.path, shell)}) words=${quote(wordsAt(place), shell)} flags=${quote(flags, shell)}${from}${files} ;;`;
    })
    .join('\n');
const spellings = ({ flag, short }: Place['options'][number]): readonly string[] => (short === undefined ? [flag] : [flag, short]);
/** Every option that a value follows, which is no argument. */
const valueFlags = (places: readonly Place[]): string =>
  [...new Set(places.flatMap(({ options }) => options.filter(({ takesValue }) => takesValue).flatMap(spellings)))].join('|');
/** Which names to ask for, by place and by option. */
const nameCases = (places: readonly Place[], shell: Shell): string =>
  places.flatMap((place) => (place.names === undefined ? [] : [`    ${quote(place.path, shell)}) names=${place.names} ;;`])).join('\n');
/** After an option that takes a value: its choices, the names it may be, else whatever the shell completes by itself: a file. */
const valueCases = (places: readonly Place[], shell: Shell): string => {
  /** What follows it, by spelling and then by place. */
  const after = new Map<string, Map<string, string>>();
  for (const { path, options } of places)
    for (const option of options) {
      const { choices, names = "''", takesValue } = option;
      const values = takesValue ? `words=${quote(choices.join(' '), shell)} flags='' files=1 names=${names}` : '';
      for (const spelling of spellings(option)) after.set(spelling, (after.get(spelling) ?? new Map<string, string>()).set(path, values));
    }
  const cases = [...after].flatMap(([spelling, byPath]) => {
    const [only = '', ...more] = new Set(byPath.values());
    // The same wherever it stands, as nearly all are: said once, or the script would be many times as long.
    if (more.length === 0) return only === '' ? [] : [`    *' '${spelling}) ${only} ;;`];
    return [...byPath]
      .filter(([, values]) => values !== '')
      .map(([path, values]) => `    ${quote(`${path} ${spelling}`, shell)}) ${values} ;;`);
  });
  return cases.join('\n');
};
const known = (places: readonly Place[], shell: Shell): string =>
  places
    .filter((place) => place.path !== '')
    .map((place) => quote(place.path, shell))
    .join('|');

/**
 * POSIX-like part that bash and zsh share: walk the words, keep those that are commands, choose what may follow. Options are offered once
 * a `-` stands there, or where there is nothing else to say: the shell sorts what it is given, and would show them before every command.
 */
const walk = (programName: string, places: readonly Place[], shell: Shell): string => `  for word in "\${before[@]}"; do
    if [ "$word" = '=' ]; then continue; fi
    case "$last" in
    ${valueFlags(places)}) ;;
    *) case "$word" in -*) ;; *) said=$((said + 1)) ;; esac ;;
    esac
    case "\${at:+$at }$word" in
    ${known(places, shell)}) at="\${at:+$at }$word" said=0 ;;
    esac
    last="$word"
  done
  case "$at" in
${wordCases(places, shell)}
  esac
  case "$at" in
${nameCases(places, shell)}
  esac
  if [ "$said" != "$from" ]; then words=''; fi
  if [ "$said" != 0 ]; then names=''; fi
  case "$at $last" in
${valueCases(places, shell)}
  esac
  case "$current" in
    -*) words="$flags" ;;
    *)
      if [ -n "$names" ]; then words="$words $(${programName} ${namesCommand} "$names" 2>/dev/null)"; fi
      if [ -z "$words$names$files" ]; then words="$flags"; fi
      ;;
  esac`;

const bash = (name: string, places: readonly Place[]): string => `# bash completion of ${name}: source <(${name} completion bash)
_${name}() {
  local at='' last='' word words='' flags='' names='' files='' said=0 from=0 current="\${COMP_WORDS[COMP_CWORD]}"
  local -a before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  # Bash makes three words of --output=json.
  if [ "$current" = '=' ]; then current=''; fi
${walk(name, places, 'bash')}
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${name} ${name}
`;

const zsh = (name: string, places: readonly Place[]): string => `#compdef ${name}
# zsh completion of ${name}: source <(${name} completion zsh), or put it into a folder of $fpath as _${name}
_${name}() {
  local at='' last='' word current=\${words[CURRENT]}
  local -a before=("\${(@)words[2,CURRENT-1]}")
  local words='' flags='' names='' files='' said=0 from=0
${walk(name, places, 'zsh')}
  local -a matches=(\${(M)\${(z)words}:#\${current}*})
  if (( \${#matches} )); then compadd -- \${(z)words}; else _files; fi
}
if [ "\${funcstack[1]}" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;

const fish = (name: string, places: readonly Place[]): string => {
  const asked = (kind: NameKind): string => `(${name} ${namesCommand} ${kind} 2>/dev/null)`;
  const all = places
    .filter((place) => place.path !== '')
    .map((place) => quote(place.path, 'fish'))
    .join(' ');
  const lines = places.flatMap((place) => {
    const condition = `-n ${quote(`__${name}_at ${quote(place.path, 'fish')}`, 'fish')}`;
    return [
      ...place.commands.map(
        (inner) => `complete -c ${name} -f ${condition} -a ${quote(inner.name, 'fish')} -d ${quote(inner.description, 'fish')}`,
      ),
      ...place.choices.map((choice) => `complete -c ${name} -f ${condition} -a ${quote(choice, 'fish')}`),
      ...(place.names === undefined ? [] : [`complete -c ${name} -f ${condition} -a ${quote(asked(place.names), 'fish')}`]),
      ...place.options.map((option) => {
        const words = option.names === undefined ? option.choices.join(' ') : asked(option.names);
        const values = words === '' ? '' : ` -x -a ${quote(words, 'fish')}`;
        return `complete -c ${name} ${condition} -l ${option.flag.slice(2)} -d ${quote(option.description, 'fish')}${values}`;
      }),
    ];
  });
  return `# fish completion of ${name}: ${name} completion fish | source
function __${name}_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$at $word")
    if contains -- "$next" ${all}
      set at $next
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}
`;
};

export const shells = { bash, zsh, fish } as const;
export type Shell = keyof typeof shells;

/** The script to source. */
export const completionScript = (program: Command, shell: Shell): string => shells[shell](program.name(), placesOf(program));
