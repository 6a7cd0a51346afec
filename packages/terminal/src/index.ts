// Public API of the terminal package: the subcommands and what the `engawa` command needs of them.
export type { ProcessIO } from './command-line/process-io.ts';
export type { CliOption, CliOptions, Subcommand } from './command-line/subcommand.ts';
export { defineSubcommand, subcommandUsage } from './command-line/subcommand.ts';
export { subcommands } from './subcommands.ts';
export { didYouMean } from './text/did-you-mean.ts';

/** Values for shell completion that need no request to a server. */
export async function completionValues(kind: 'profiles' | 'rooms', env: NodeJS.ProcessEnv): Promise<string[]> {
  return (await import('./profile/completion-values.ts')).completionValues(kind, env);
}
