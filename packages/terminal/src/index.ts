export { chat } from './chat.ts';
export type { Surroundings } from './surroundings.ts';
