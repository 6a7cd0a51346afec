export { didYouMean } from './nearest.ts';
export type { CliOption, CliOptions, Subcommand } from './subcommand.ts';
export { defineSubcommand, subcommandUsage } from './subcommand.ts';
export { subcommands } from './subcommands.ts';
export type { ProcessIO } from './surroundings.ts';

/** Names that can be completed without asking a server. */
export async function completionValues(kind: 'profiles' | 'rooms', env: NodeJS.ProcessEnv): Promise<string[]> {
  return (await import('./profile/known.ts')).completionValues(kind, env);
}
