// The interface of a connection of a fuzz case, for any transport.
import type { Visit } from './fuzz-case.ts';
import type { Request } from './grammar.ts';
import type { Packet } from './packet.ts';

export interface Session {
  readonly closed: Promise<unknown>;
  readonly isClosed: () => boolean;
  /** Sends CONNECT; rejects if it is refused. */
  connect(auth: object): Promise<{ pid?: string }>;
  /** Sends an event. Resolves with the response; rejects if the connection is closed. */
  ask(request: Request): Promise<{ ok: boolean; epoch?: string; id?: string | null }>;
  sendAll(packets: readonly Packet[], batch: number): Promise<void>;
  end(ending: Visit['ending']): void;
  /** Called with every acknowledgement that `ask` does not wait for. */
  onAck: (id: number) => void;
  /** The offset of the last received event. */
  readonly offset: () => string | undefined;
}
