export { printSettings, serve } from './main.ts';
export { Node, type NodeOptions } from './node.ts';
export { type ChatServer, createServer, type ServerOptions } from './server.ts';
export { type EmbeddedStore, openEmbedded } from './store/embedded/embedded.ts';
export { type MemoryStore, openMemory } from './store/memory/memory.ts';
export * from './store/store.ts';
export type { Peer, Wire } from './transport/wire.ts';
