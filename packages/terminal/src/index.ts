export { nearest } from './nearest.ts';
export type { Option, Options, Subcommand } from './subcommand.ts';
export { reading, usageOf } from './subcommand.ts';
export { subcommands } from './subcommands.ts';
export type { Surroundings } from './surroundings.ts';

/** Names that can be completed without asking a server. */
export async function known(kind: 'profiles' | 'rooms', env: NodeJS.ProcessEnv): Promise<string[]> {
  return (await import('./profile/known.ts')).known(kind, env);
}
