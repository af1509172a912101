import { Argument, Command } from 'commander';

const scripts: Record<string, string> = {
  bash: `# aloft completion: eval "$(aloft completion bash)" in ~/.bashrc
_aloft() {
  local IFS=$'\\n'
  COMPREPLY=($(aloft __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _aloft aloft`,
  zsh: `#compdef aloft
# aloft completion: eval "$(aloft completion zsh)" in ~/.zshrc, after compinit
_aloft() {
  local -a found
  found=("\${(@f)$(aloft __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _aloft aloft`,
  fish: `# aloft completion: aloft completion fish > ~/.config/fish/completions/aloft.fish
function __aloft_complete
  set -l words (commandline -opc) (commandline -ct)
  aloft __complete -- $words[2..-1] 2>/dev/null
end
complete -c aloft -a '(__aloft_complete)'`,
};

export function completionCommand(): Command {
  return new Command('completion')
    .description('print what makes a shell complete commands, options and their values')
    .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
    .action((shell: string) => void process.stdout.write(`${scripts[shell]}\n`));
}

/** What the scripts ask: hidden, since nobody types it. */
export function completeCommand(root: () => Command): Command {
  return new Command('__complete').argument('[words...]').action(
    (words: string[]) =>
      void process.stdout.write(
        candidates(root(), words)
          .map((word) => `${word}\n`)
          .join(''),
      ),
  );
}

/** Words that may stand in the place of the last one, which may have begun. */
export function candidates(root: Command, words: readonly string[]): string[] {
  const begun = words.at(-1) ?? '';
  let command = root;
  let operands = 0;
  let awaited: readonly string[] | undefined;
  for (const word of words.slice(0, -1)) {
    if (awaited) {
      awaited = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = command.options.find(({ short, long }) => word === short || word === long);
      if (option && (option.required || option.optional)) awaited = option.argChoices ?? [];
      continue;
    }
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next) {
      command = next;
      operands = 0;
    } else operands += 1;
  }
  return choices(command, operands, begun, awaited).filter((word) => word.startsWith(begun));
}

function choices(command: Command, operands: number, begun: string, awaited: readonly string[] | undefined): string[] {
  if (awaited) return [...awaited];
  if (begun.startsWith('-'))
    return command.options.flatMap(({ short, long, hidden }) => (hidden ? [] : [long ?? short ?? ''])).concat('--help');
  const subcommands =
    operands === 0 ? command.commands.map((one) => one.name()).filter((name) => !name.startsWith('__')) : [];
  return [...subcommands, ...(command.registeredArguments[operands]?.argChoices ?? [])];
}
