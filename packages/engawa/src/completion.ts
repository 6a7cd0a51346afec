// Shell completion scripts for bash, zsh and fish.
import type { CliOptions, Subcommand } from '@engawa/terminal';

/**
 * The scripts ask the command itself for the names of profiles and rooms. Room names are untrusted: no script passes one to an
 * expansion of the shell.
 */
export const completions: ReadonlyMap<string, (subcommands: readonly Subcommand[]) => Promise<string>> = new Map([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
]);

const PATH_VALUES = new Set(['FILE', 'DIR']);

interface CompletionCommand {
  name: string;
  summary: string;
  options: CliOptions;
  completes: Subcommand['completes'];
}

const resolveOptions = (subcommands: readonly Subcommand[]): Promise<CompletionCommand[]> =>
  Promise.all(
    subcommands.map(async ({ name, summary, options, completes }) => ({
      name,
      summary,
      completes,
      options: typeof options === 'function' ? await options() : options,
    })),
  );

const flagsOf = ({ options }: CompletionCommand): string[] => [...Object.keys(options).map((option) => `--${option}`), '--help'];

async function bash(subcommands: readonly Subcommand[]): Promise<string> {
  const commands = await resolveOptions(subcommands);
  const names = commands.map(({ name }) => name).join(' ');
  return `# Completion of engawa for bash.
_engawa() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} choice choices=
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    choices="${names.replaceAll(' ', '\n')}"
  elif [[ $before == --profile ]]; then
    choices=$(engawa completion profiles 2>/dev/null)
  elif [[ $before == --mark || $before == --config || $before == --data-dir ]]; then
    compopt -o default 2>/dev/null
    return
  elif [[ $word == -* ]]; then
    case $command in
${commands.map((each) => `      ${each.name}) choices="${flagsOf(each).join('\n')}" ;;`).join('\n')}
    esac
  elif (( COMP_CWORD == 2 )); then
    case $command in
      help) choices="${names.replaceAll(' ', '\n')}" ;;
${commands
  .filter(({ completes }) => completes !== undefined)
  .map(({ name, completes }) =>
    completes === 'rooms'
      ? `      ${name}) choices=$(engawa completion rooms 2>/dev/null) ;;`
      : `      ${name}) choices="${(completes ?? []).join('\n')}" ;;`,
  )
  .join('\n')}
    esac
  elif [[ $command == profile && COMP_CWORD -eq 3 ]]; then
    choices=$(engawa completion profiles 2>/dev/null)
  fi
  while IFS= read -r choice; do
    [[ -n $choice && $choice == "$word"* ]] && COMPREPLY+=("$(printf '%q' "$choice")")
  done <<< "$choices"
}
complete -F _engawa engawa
`;
}

/** Quotes a text in single quotes, for zsh and fish. */
const shellQuote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "'\\''")}'`;

async function zsh(subcommands: readonly Subcommand[]): Promise<string> {
  const commands = await resolveOptions(subcommands);
  const described = commands.map(({ name, summary }) => shellQuote(`${name}:${summary}`)).join(' ');
  return `#compdef engawa
# Completion of engawa for zsh.
_engawa() {
  local -a choices
  local word=$words[CURRENT] before=$words[CURRENT-1] command=$words[2]
  if (( CURRENT == 2 )); then
    choices=(${described})
    _describe command choices
    return
  elif [[ $before == --profile ]]; then
    choices=("\${(@f)$(engawa completion profiles 2>/dev/null)}")
  elif [[ $before == --mark || $before == --config || $before == --data-dir ]]; then
    _files
    return
  elif [[ $word == -* ]]; then
    case $command in
${commands.map((each) => `      ${each.name}) choices=(${flagsOf(each).join(' ')}) ;;`).join('\n')}
    esac
  elif (( CURRENT == 3 )); then
    case $command in
      help) choices=(${commands.map(({ name }) => name).join(' ')}) ;;
${commands
  .filter(({ completes }) => completes !== undefined)
  .map(({ name, completes }) =>
    completes === 'rooms'
      ? `      ${name}) choices=("\${(@f)$(engawa completion rooms 2>/dev/null)}") ;;`
      : `      ${name}) choices=(${(completes ?? []).join(' ')}) ;;`,
  )
  .join('\n')}
    esac
  elif [[ $command == profile ]] && (( CURRENT == 4 )); then
    choices=("\${(@f)$(engawa completion profiles 2>/dev/null)}")
  fi
  compadd -- "\${(@)choices:#}"
}
compdef _engawa engawa
`;
}

async function fish(subcommands: readonly Subcommand[]): Promise<string> {
  const commands = await resolveOptions(subcommands);
  const lines = commands.flatMap(({ name, summary, options, completes }) => {
    const whenSubcommand = `-n ${shellQuote(`__fish_seen_subcommand_from ${name}`)}`;
    const whenFirstArgument = `-n ${shellQuote(`__fish_seen_subcommand_from ${name}; and test (count (commandline -opc)) -eq 2`)}`;
    const words = completes === 'rooms' ? '(engawa completion rooms 2>/dev/null)' : completes?.join(' ');
    return [
      `complete -c engawa -n __fish_use_subcommand -a ${name} -d ${shellQuote(summary)}`,
      ...(words === undefined ? [] : [`complete -c engawa ${whenFirstArgument} -a ${shellQuote(words)}`]),
      ...Object.entries(options).map(([option, { short, value, what: description }]) => {
        const shortFlag = short === undefined ? '' : ` -s ${short}`;
        const argument = option === 'profile' ? ` -x -a ${shellQuote('(engawa completion profiles 2>/dev/null)')}` : argumentFlags(value);
        return `complete -c engawa ${whenSubcommand} -l ${option}${shortFlag}${argument} -d ${shellQuote(description)}`;
      }),
    ];
  });
  return `# Completion of engawa for fish.\ncomplete -c engawa -f\n${lines.join('\n')}\n`;
}

/** Completion of the value of an option: none, a file, or nothing to offer. */
function argumentFlags(value: string | undefined): string {
  if (value === undefined) return '';
  return PATH_VALUES.has(value) ? ' -r -F' : ' -x';
}
