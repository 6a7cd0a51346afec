// Worker process of one attack. It keeps the connections after the attack if the attack demands that.
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '../../generator/socketio-client.ts';
import { handleCommands } from '../../processes/worker-rpc.ts';
import { AttackContext, type AttackReport, Budget } from './attack.ts';
import { attacks } from './attacks.ts';

export interface AttackOrder {
  name: string;
  target: Target;
  seconds: number;
}

/** Limit for attacks that keep their connections until the server closes them. */
const MAX_HOLD_MS = 120_000;
/** Lower priority than the bystanders, who are measured on the same cores. */
const PRIORITY = 10;

process.on('unhandledRejection', () => undefined);

handleCommands<AttackOrder>(async ({ name, target, seconds }): Promise<AttackReport> => {
  const attack = attacks.find((each) => each.name === name);
  if (!attack) throw new Error(`There is no attack "${name}".`);
  setPriority(PRIORITY);
  setTimeout(() => process.exit(), seconds * 1_000 + MAX_HOLD_MS).unref();
  const budget = new Budget(seconds);
  await Promise.race([attack.run(new AttackContext(target, budget)), sleep(seconds * 1_000 + 500)]);
  return budget.toReport();
});
