import { en } from './en.ts';
import { ja } from './ja.ts';

/** All that is said to people, in one language. */
export type Words = typeof en;

const languages: Record<string, Words> = { en, ja };

/** The words of the language that is asked for, or else of the environment; English where it is none that is known. */
export function wordsOf(asked: string | undefined, env: NodeJS.ProcessEnv): Words {
  const locale = asked ?? (env.LC_ALL || env.LC_MESSAGES || env.LANG || 'en');
  return languages[locale.slice(0, 2).toLowerCase()] ?? en;
}
