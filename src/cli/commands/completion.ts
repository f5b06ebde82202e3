import type { CommandDefinition, Invocation } from '../command.ts';
import { definitions } from '../definitions.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { optionsOf } from '../help.ts';
import { usageOf } from '../numbers.ts';

const scripts: Readonly<Record<string, () => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

export async function runCompletion(invocation: Invocation): Promise<ExitCode> {
  const shell = invocation.args[0]!;
  const script = Object.hasOwn(scripts, shell) ? scripts[shell]!() : undefined;
  if (script === undefined) throw usageOf(invocation, `there is no completion for ${shell}, only for ${Object.keys(scripts).join(', ')}`);
  invocation.answer({ shell, script }, () => script.trimEnd());
  return exitCodes.done;
}

/** `--at`, and whether a value follows. */
function longFlags(command: CommandDefinition): { flag: string; takesValue: boolean; takesFile: boolean; choices: readonly string[]; says: string }[] {
  return [...optionsOf(command), { flags: '--help', says: 'show help' }].map((option) => ({
    flag: /--[\w-]+/.exec(option.flags)![0],
    takesValue: /[<[]/.test(option.flags),
    takesFile: /<(file|dir|dir:port)>/.test(option.flags),
    choices: 'choices' in option ? (option.choices ?? []) : [],
    says: option.says,
  }));
}

const firstWords = (): string[] => [...new Set(definitions.map((command) => command.name.split(' ')[0]!))];
const verbsOf = (noun: string): string[] => definitions.filter((command) => command.name.startsWith(`${noun} `)).map((command) => command.name.split(' ')[1]!);
const takesDirectory = (command: CommandDefinition): boolean => /<directory>/.test(command.takes);

function bashScript(): string {
  const nouns = firstWords().filter((noun) => verbsOf(noun).length > 0);
  const cases = definitions.map((command) => `    '${command.name}') words='${longFlags(command).map(({ flag }) => flag).join(' ')}' ;;`);
  const values = new Map(definitions.flatMap(longFlags).filter(({ choices }) => choices.length > 0).map(({ flag, choices }) => [flag, choices.join(' ')]));
  const files = [...new Set(definitions.flatMap(longFlags).filter(({ takesFile }) => takesFile).map(({ flag }) => flag))];
  return `# bash completion for tidemark
_tidemark() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words='' command
  COMPREPLY=()
  case $before in
    ${files.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
${[...values].map(([flag, choices]) => `    ${flag}) COMPREPLY=($(compgen -W '${choices}' -- "$current")); return ;;`).join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${firstWords().join(' ')}' -- "$current")); return
  fi
  case \${COMP_WORDS[1]} in
    ${nouns.join('|')}) command="\${COMP_WORDS[1]} \${COMP_WORDS[2]}" ;;
    *) command=\${COMP_WORDS[1]} ;;
  esac
  if [ "$COMP_CWORD" -eq 2 ]; then
    case \${COMP_WORDS[1]} in
${nouns.map((noun) => `      ${noun}) COMPREPLY=($(compgen -W '${verbsOf(noun).join(' ')}' -- "$current")); return ;;`).join('\n')}
      completion) COMPREPLY=($(compgen -W '${Object.keys(scripts).join(' ')}' -- "$current")); return ;;
    esac
  fi
  case $command in
${cases.join('\n')}
  esac
  case $current in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _tidemark tidemark
`;
}

function zshScript(): string {
  const quote = (text: string): string => text.replace(/'/g, "'\\''").replace(/[[\]:]/g, '\\$&');
  const describeVerb = (command: CommandDefinition): string => `'${command.name.split(' ').at(-1)}:${quote(command.summary)}'`;
  const flagLine = ({ flag, takesValue, takesFile, choices, says }: ReturnType<typeof longFlags>[number]): string => {
    const value = choices.length > 0 ? `:value:(${choices.join(' ')})` : takesFile ? ':file:_files' : takesValue ? ':value: ' : '';
    return `      '*${flag}[${quote(says)}]${value}'`;
  };
  const nouns = firstWords().filter((noun) => verbsOf(noun).length > 0);
  return `#compdef tidemark
_tidemark() {
  local -a verbs flags
  if (( CURRENT == 2 )); then
    verbs=(${firstWords().map((noun) => `'${noun}'`).join(' ')})
    _describe 'command' verbs
    return
  fi
  if (( CURRENT == 3 )); then
    case $words[2] in
${nouns.map((noun) => `      ${noun}) verbs=(${definitions.filter((command) => command.name.startsWith(`${noun} `)).map(describeVerb).join(' ')}); _describe 'verb' verbs; return ;;`).join('\n')}
      completion) verbs=(${Object.keys(scripts).join(' ')}); _describe 'shell' verbs; return ;;
    esac
  fi
  local command="$words[2] $words[3]"
  case $words[2] in (${firstWords().filter((word) => verbsOf(word).length === 0).join('|')}) command=$words[2] ;; esac
  case $command in
${definitions.map((command) => `    '${command.name}') flags=(\n${longFlags(command).map(flagLine).join('\n')}\n    ) ;;`).join('\n')}
  esac
  _arguments -s $flags '*:argument:_files'
}
compdef _tidemark tidemark
`;
}

function fishScript(): string {
  const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const lines = ['# fish completion for tidemark', 'complete -c tidemark -f'];
  for (const noun of firstWords()) {
    const says = definitions.find((command) => command.name === noun)?.summary ?? `${verbsOf(noun).join(', ')}`;
    lines.push(`complete -c tidemark -n __fish_use_subcommand -a ${noun} -d ${quote(says)}`);
  }
  for (const command of definitions) {
    const [noun, verb] = command.name.split(' ') as [string, string?];
    if (verb !== undefined) lines.push(`complete -c tidemark -n '__fish_seen_subcommand_from ${noun}; and not __fish_seen_subcommand_from ${verbsOf(noun).join(' ')}' -a ${verb} -d ${quote(command.summary)}`);
    const seen = verb === undefined ? `__fish_seen_subcommand_from ${noun}` : `__fish_seen_subcommand_from ${noun}; and __fish_seen_subcommand_from ${verb}`;
    if (takesDirectory(command)) lines.push(`complete -c tidemark -n '${seen}' -F`);
    for (const { flag, takesValue, takesFile, choices, says } of longFlags(command)) {
      const value = choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : takesFile ? ' -r -F' : takesValue ? ' -x' : '';
      lines.push(`complete -c tidemark -n '${seen}' -l ${flag.slice(2)}${value} -d ${quote(says)}`);
    }
  }
  lines.push(`complete -c tidemark -n '__fish_seen_subcommand_from completion' -a '${Object.keys(scripts).join(' ')}'`);
  return `${lines.join('\n')}\n`;
}
