import type { ClientStorage } from '@engawa/client';

/** Who somebody is, and where: what the command line, the environment and the config file say together. */
export interface Profile {
  /** `default` when none is named. */
  name: string;
  /** The server's URL. */
  server: string;
  username: string;
  /**
   * Session, positions and unsent chats, in a folder of its own that nobody else may read. Where it cannot be written they
   * are kept in memory, and `problem` says why.
   */
  storage: ClientStorage;
  problem: string | undefined;
  /** The rooms that were open when the full-screen client was left, in their order. */
  rooms: { read(): string[]; write(rooms: readonly string[]): void };
}
