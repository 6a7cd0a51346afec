export { printSettings, serve } from './main.ts';
export { type ChatServer, createServer, type ServerOptions } from './server.ts';
export { openEmbedded } from './store/embedded/embedded.ts';
export { openMemory } from './store/memory/memory.ts';
export * from './store/store.ts';
