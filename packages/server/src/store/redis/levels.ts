import { type Durability, StoreError } from '../store.ts';
import type { Command, Reply } from './connection.ts';
import { type Findings, isAtLeast } from './findings.ts';

/** Milliseconds that Redis waits for its replicas or its disk. */
const CONFIRM_MS = 1_000;

export interface Level {
  durability: Exclude<Durability, 'memory'>;
  /** Asked after a write and on its connection; without, a write is durable enough once it is answered. */
  command?: Command;
  isEnough: (reply: Reply) => boolean;
}

/** How the wanted durability is had from a Redis of this kind; refuses when it cannot be. */
export function levelOf(durability: Level['durability'], findings: Findings): Level {
  switch (durability) {
    case 'fast':
      return { durability, isEnough: () => true };
    case 'replicated':
      if (findings.replicas === 0) throw refuse(durability, 'no replica is connected');
      return { durability, ...copied };
    case 'fsync':
      return { durability, ...onDisk(findings) };
  }
}

type Confirmed = Omit<Level, 'durability'>;

const copied: Confirmed = { command: ['WAIT', '1', String(CONFIRM_MS)], isEnough: (reply) => Number(reply) >= 1 };

/** Where a replica takes over, the disk of its former primary counts no more: it must have a copy, too. */
function onDisk({ kind, version, appendfsync, replicas }: Findings): Confirmed {
  const copies = kind !== 'single' && replicas > 0 ? 1 : 0;
  // Redis waits for its disk before it answers.
  if (appendfsync === 'always') return copies > 0 ? copied : { isEnough: () => true };
  if (!isAtLeast(version, 7, 2)) throw refuse('fsync', `Redis ${version} must be set to "appendfsync always"`);
  if (appendfsync === 'off') throw refuse('fsync', 'it keeps no append-only file');
  return {
    command: ['WAITAOF', '1', String(copies), String(CONFIRM_MS)],
    isEnough: (reply) => {
      const [disks, replicasDisks] = reply as [Reply, Reply];
      return Number(disks) >= 1 && Number(replicasDisks) >= copies;
    },
  };
}

const refuse = (durability: string, why: string): StoreError =>
  new StoreError('failed', `This Redis cannot keep things with durability "${durability}": ${why}.`);
