export { chat, type Surroundings } from './chat.ts';
