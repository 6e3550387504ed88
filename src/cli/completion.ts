/** Completion scripts for bash, zsh and fish, generated from the tree of commands, so that they cannot forget one. */
import type { Command } from 'commander';

/** What may follow the words typed so far. */
export interface Place {
  /** The commands before: ``, `host`, `host show`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly flag: string; readonly description: string; readonly choices: readonly string[] }[];
  /** Fixed words an argument may be: on, off. */
  readonly choices: readonly string[];
}

/** Every place of the tree, the root first. */
export const placesOf = (command: Command, path = ''): readonly Place[] => {
  const here: Place = {
    path,
    commands: command.commands.map((inner) => ({ name: inner.name(), description: inner.description() })),
    options: command.options
      .filter((option) => !option.hidden && option.long !== undefined)
      .map((option) => ({ flag: option.long ?? '', description: option.description, choices: option.argChoices ?? [] })),
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
  };
  return [here, ...command.commands.flatMap((inner) => placesOf(inner, path === '' ? inner.name() : `${path} ${inner.name()}`))];
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
  case "$at $last" in
${choiceCases(places, shell)}
  esac`;

const bash = (name: string, places: readonly Place[]): string => `# bash completion of ${name}: source <(${name} completion bash)
_${name}() {
  local at='' last='' word words=''
  local -a before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${walk(places, 'bash')}
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}
`;

const zsh = (name: string, places: readonly Place[]): string => `#compdef ${name}
# zsh completion of ${name}: source <(${name} completion zsh), or put it into a folder of $fpath as _${name}
_${name}() {
  local at='' last='' word words_after=\${words[CURRENT]}
  local -a before=("\${(@)words[2,CURRENT-1]}")
  local words=''
${walk(places, 'zsh')}
  local -a matches=(\${(M)\${(z)words}:#\${words_after}*})
  if (( \${#matches} )); then compadd -- \${(z)words}; else _files; fi
}
if [ "\${funcstack[1]}" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;

const fish = (name: string, places: readonly Place[]): string => {
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
      ...place.options.map((option) => {
        const values = option.choices.length === 0 ? '' : ` -x -a ${quote(option.choices.join(' '), 'fish')}`;
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
