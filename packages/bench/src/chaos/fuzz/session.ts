/** What a case needs of its connection, whatever the transport. */
import type { Visit } from './fuzz-case.ts';
import type { Request } from './grammar.ts';
import type { Packet } from './packet.ts';

export interface Session {
  readonly closed: Promise<unknown>;
  readonly isClosed: () => boolean;
  /** CONNECT; rejects when it is refused. */
  connect(auth: object): Promise<{ pid?: string }>;
  /** An event that is answered, or rejects because the connection is closed. */
  ask(request: Request): Promise<{ ok: boolean; epoch?: string; id?: string | null }>;
  sendAll(packets: readonly Packet[], batch: number): Promise<void>;
  end(ending: Visit['ending']): void;
  /** Is told of every acknowledgement that `ask` does not wait for. */
  onAck: (id: number) => void;
  /** The offset of the last event that it received. */
  readonly offset: () => string | undefined;
}
