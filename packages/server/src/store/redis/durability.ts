/** Maps a durability level to the Redis command that confirms it. */
import { type Durability, StoreError } from '../contract.ts';
import type { Command, Reply } from './redis-connection.ts';
import { isAtLeast, type ServerInfo } from './server-info.ts';

/** Milliseconds that Redis waits for its replicas or its disk. */
const ACK_TIMEOUT_MS = 1_000;

export interface DurabilityLevel {
  durability: Exclude<Durability, 'memory'>;
  /** Sent after a write on the same connection. Undefined: a write is durable enough once Redis has replied. */
  ackCommand?: Command;
  isDurable: (reply: Reply) => boolean;
}

/** How to get the required durability from this Redis; throws if that is impossible. */
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

/** With failover to a replica, the disk of the former primary no longer counts: the replica must have a copy, too. */
function fsyncRule({ kind, version, appendfsync, replicas }: ServerInfo): AckRule {
  const requiredReplicas = kind !== 'single' && replicas > 0 ? 1 : 0;
  // Redis waits for its disk before it replies.
  if (appendfsync === 'always') return requiredReplicas > 0 ? REPLICATED : { isDurable: () => true };
  if (!isAtLeast(version, 7, 2)) throw durabilityError('fsync', `Redis ${version} must be set to "appendfsync always"`);
  if (appendfsync === 'off') throw durabilityError('fsync', 'it has no append-only file');
  return {
    ackCommand: ['WAITAOF', '1', String(requiredReplicas), String(ACK_TIMEOUT_MS)],
    isDurable: (reply) => {
      const [disks, replicaDisks] = reply as [Reply, Reply];
      return Number(disks) >= 1 && Number(replicaDisks) >= requiredReplicas;
    },
  };
}

const durabilityError = (durability: string, reason: string): StoreError =>
  new StoreError('failed', `This Redis does not support the durability "${durability}": ${reason}.`);
