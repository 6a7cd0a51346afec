import { type Durability, StoreError } from '../contract.ts';
import type { Command, Reply } from './redis-connection.ts';
import { isAtLeast, type ServerInfo } from './server-info.ts';

/** Milliseconds that Redis waits for its replicas or its disk. */
const ACK_TIMEOUT_MS = 1_000;

export interface DurabilityLevel {
  durability: Exclude<Durability, 'memory'>;
  /** Asked after a write and on its connection; without, a write is durable enough once it is answered. */
  ackCommand?: Command;
  isDurable: (reply: Reply) => boolean;
}

/** How the wanted durability is had from a Redis of this kind; refuses when it cannot be. */
export function resolveDurability(durability: DurabilityLevel['durability'], serverInfo: ServerInfo): DurabilityLevel {
  switch (durability) {
    case 'fast':
      return { durability, isDurable: () => true };
    case 'replicated':
      if (serverInfo.replicas === 0) throw durabilityError(durability, 'no replica is connected');
      return { durability, ...REPLICATED };
    case 'fsync':
      return { durability, ...fsyncRule(serverInfo) };
  }
}

type AckRule = Omit<DurabilityLevel, 'durability'>;

const REPLICATED: AckRule = { ackCommand: ['WAIT', '1', String(ACK_TIMEOUT_MS)], isDurable: (reply) => Number(reply) >= 1 };

/** Where a replica takes over, the disk of its former primary counts no more: it must have a copy, too. */
function fsyncRule({ kind, version, appendfsync, replicas }: ServerInfo): AckRule {
  const requiredReplicas = kind !== 'single' && replicas > 0 ? 1 : 0;
  // Redis waits for its disk before it answers.
  if (appendfsync === 'always') return requiredReplicas > 0 ? REPLICATED : { isDurable: () => true };
  if (!isAtLeast(version, 7, 2)) throw durabilityError('fsync', `Redis ${version} must be set to "appendfsync always"`);
  if (appendfsync === 'off') throw durabilityError('fsync', 'it keeps no append-only file');
  return {
    ackCommand: ['WAITAOF', '1', String(requiredReplicas), String(ACK_TIMEOUT_MS)],
    isDurable: (reply) => {
      const [disks, replicaDisks] = reply as [Reply, Reply];
      return Number(disks) >= 1 && Number(replicaDisks) >= requiredReplicas;
    },
  };
}

const durabilityError = (durability: string, reason: string): StoreError =>
  new StoreError('failed', `This Redis cannot keep things with durability "${durability}": ${reason}.`);
