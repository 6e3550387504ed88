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
    readonly description: string;
    readonly choices: readonly string[];
    /** Its value is one of these names. */
    readonly names: NameKind | undefined;
  }[];
  /** Fixed words an argument may be: on, off. */
  readonly choices: readonly string[];
  /** An argument is one of these names. */
  readonly names: NameKind | undefined;
}

const shown = (command: Command): boolean => !command.name().startsWith('_');
const kindOf = (option: Option): NameKind | undefined =>
  option.long === '--image' ? 'image' : kindIn(option.flags.replace('<name>', `<${option.name()}>`));
/** `claim show <claim>` says it itself; `context use <name>` by the command above. */
const argumentKind = (command: Command): NameKind | undefined => {
  const [first] = command.registeredArguments;
  if (first === undefined) return undefined;
  const name = command.parent?.name() === 'context' && first.name() === 'name' ? 'context' : first.name();
  return nameKinds.find((kind) => kind === name);
};

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
        description: option.description,
        choices: option.argChoices ?? [],
        names: kindOf(option),
      })),
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    names: argumentKind(command),
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
const wordsAt = (place: Place): string =>
  [...place.commands.map(({ name }) => name), ...place.choices, ...place.options.map(({ flag }) => flag)].join(' ');
const wordCases = (places: readonly Place[], shell: Shell): string =>
  places.map((place) => `    ${quote(place.path, shell)}) words=${quote(wordsAt(place), shell)} ;;`).join('\n');
const choiceCases = (places: readonly Place[], shell: Shell): string =>
  places
    .flatMap((place) =>
      place.options
        .filter((option) => option.choices.length > 0)
        .map((option) => `    ${quote(`${place.path} ${option.flag}`, shell)}) words=${quote(option.choices.join(' '), shell)} ;;`),
    )
    .join('\n');
/** Which names to ask for, by place and by option. */
const nameCases = (places: readonly Place[], shell: Shell): string =>
  places.flatMap((place) => (place.names === undefined ? [] : [`    ${quote(place.path, shell)}) names=${place.names} ;;`])).join('\n');
const optionNameCases = (places: readonly Place[], shell: Shell): string =>
  places
    .flatMap((place) =>
      place.options.flatMap(({ flag, names }) =>
        names === undefined ? [] : [`    ${quote(`${place.path} ${flag}`, shell)}) words='' names=${names} ;;`],
      ),
    )
    .join('\n');
const known = (places: readonly Place[], shell: Shell): string =>
  places
    .filter((place) => place.path !== '')
    .map((place) => quote(place.path, shell))
    .join('|');

/** POSIX-like part that bash and zsh share: walk the words, keep those that are commands, choose what may follow. */
const walk = (places: readonly Place[], shell: Shell): string => `  for word in "\${before[@]}"; do
    case "\${at:+$at }$word" in
    ${known(places, shell)}) at="\${at:+$at }$word" ;;
    esac
    last="$word"
  done
  case "$at" in
${wordCases(places, shell)}
  esac
  case "$at" in
${nameCases(places, shell)}
  esac
  case "$at $last" in
${choiceCases(places, shell)}
${optionNameCases(places, shell)}
  esac`;

const bash = (name: string, places: readonly Place[]): string => `# bash completion of ${name}: source <(${name} completion bash)
_${name}() {
  local at='' last='' word words='' names=''
  local -a before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${walk(places, 'bash')}
  case "$names,\${COMP_WORDS[COMP_CWORD]}" in
    ,*|*,-*) ;;
    *) words="$words $(${name} ${namesCommand} "$names" 2>/dev/null)" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}
`;

const zsh = (name: string, places: readonly Place[]): string => `#compdef ${name}
# zsh completion of ${name}: source <(${name} completion zsh), or put it into a folder of $fpath as _${name}
_${name}() {
  local at='' last='' word words_after=\${words[CURRENT]}
  local -a before=("\${(@)words[2,CURRENT-1]}")
  local words='' names=''
${walk(places, 'zsh')}
  if [[ -n "$names" && "$words_after" != -* ]]; then words="$words $(${name} ${namesCommand} "$names" 2>/dev/null)"; fi
  local -a matches=(\${(M)\${(z)words}:#\${words_after}*})
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
