/** The public interface of the server package. */

export { ChatNode, type ChatNodeOptions } from './chat-node.ts';
export { importData } from './cli/import.ts';
export { move } from './cli/move.ts';
export { printSettings, serve } from './cli/serve.ts';
export { trim } from './cli/trim.ts';
export { settingOptions, settingVariables } from './config/settings.ts';
export type { Connection } from './connections/connection.ts';
export type { Channel, Peer, Transport } from './connections/peer.ts';
export { type EmbeddedStore, type MemoryStore, openEmbedded, openMemory, openStore, type StoreOptions } from './open-store.ts';
export { type ChatServer, createServer, type ServerOptions } from './server.ts';
export * from './store/contract.ts';
