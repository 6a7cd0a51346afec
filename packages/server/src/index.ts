export { importData } from './import.ts';
export { printSettings, serve } from './main.ts';
export { move } from './move.ts';
export { Node, type NodeOptions } from './node.ts';
export { type ChatServer, createServer, type ServerOptions } from './server.ts';
export * from './store/store.ts';
export { type EmbeddedStore, type MemoryStore, openEmbedded, openMemory, openStore, type StoreOptions } from './stores.ts';
export type { Peer, Wire } from './transport/wire.ts';
export { trim } from './trim.ts';
