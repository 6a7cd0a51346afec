import { type Dialling, dial, type Reply } from './connection.ts';
import { slotOf, tags } from './partitions.ts';
import { hostAndPort } from './target.ts';

/** A server that takes longer to say where things are is passed over. */
const ASKING_MS = 2_000;

/** Which server has which partition. */
export class Places {
  readonly #ofPartition: (string | undefined)[];
  readonly isCluster: boolean;
  /** Nothing can change, so nobody need be asked again. */
  readonly isFixed: boolean;
  readonly all: ReadonlySet<string>;

  constructor(ofPartition: (string | undefined)[], { isCluster, isFixed }: { isCluster: boolean; isFixed: boolean }) {
    this.#ofPartition = ofPartition;
    this.isCluster = isCluster;
    this.isFixed = isFixed;
    this.all = new Set(ofPartition.filter((address) => address !== undefined));
  }

  of(partition: number): string | undefined {
    return this.#ofPartition[partition];
  }

  equals(other: Places): boolean {
    return this.#ofPartition.every((address, partition) => other.of(partition) === address);
  }
}

/**
 * Asks where everything is. Rejects when nobody answers. Where something may be wrong most of the servers are asked, and the
 * newest epoch counts: one that is cut off tells what was true before.
 */
export async function whereIs(dialling: Dialling, { known, isSure = false }: { known?: Places; isSure?: boolean } = {}): Promise<Places> {
  const { kind, seeds } = dialling.target;
  if (known?.isFixed) return known;
  const ask = kind === 'sentinel' ? askSentinel : known ? askCluster : askServer;
  const all = kind === 'sentinel' ? seeds : [...new Set([...(known?.all ?? []), ...seeds])];
  const answers = await mostOf((isSure ? all.slice(0, 1) : all).map((address) => ask(dialling, address)));
  return answers.reduce((newest, answer) => (answer.epoch > newest.epoch ? answer : newest)).places;
}

interface Answer {
  places: Places;
  epoch: number;
}

/** What more than half of them answer, or all that do when there are no more. */
async function mostOf<Answered>(asked: Promise<Answered>[]): Promise<Answered[]> {
  const answers: Answered[] = [];
  let left = asked.length;
  let failure = new Error('There is nobody to ask.');
  return new Promise((resolve, reject) => {
    const settle = () => {
      left -= 1;
      if (2 * answers.length > asked.length || (left === 0 && answers.length > 0)) resolve(answers);
      else if (left === 0) reject(failure);
    };
    for (const each of asked) {
      each
        .then((answer) => answers.push(answer))
        .catch((error: Error) => (failure = error))
        .finally(settle);
    }
  });
}

async function askServer(dialling: Dialling, address: string): Promise<Answer> {
  const info = await asking(dialling, address, (ask) => ask(['INFO', 'cluster']));
  if (/^cluster_enabled:1/m.test(String(info))) return askCluster(dialling, address);
  const everywhere = tags.map(() => address);
  return { places: new Places(everywhere, { isCluster: false, isFixed: true }), epoch: 0 };
}

async function askCluster(dialling: Dialling, address: string): Promise<Answer> {
  return asking(dialling, address, async (ask) => {
    const [slots, info] = await Promise.all([ask(['CLUSTER', 'SLOTS']), ask(['CLUSTER', 'INFO'])]);
    const epoch = Number(/^cluster_current_epoch:(\d+)/m.exec(String(info))?.[1]);
    return { places: new Places(placesIn(slots as SlotRange[], address), { isCluster: true, isFixed: false }), epoch };
  });
}

async function askSentinel(dialling: Dialling, sentinel: string): Promise<Answer> {
  const primary = String(dialling.target.primary);
  // A sentinel has its own passwords, if any; those of the URL are the servers'.
  const { username: _, password: __, database: ___, ...target } = dialling.target;
  return asking({ ...dialling, target }, sentinel, async (ask) => {
    const found = (await ask(['SENTINEL', 'MASTER', primary])) as string[];
    const fact = (name: string): string => String(found[found.indexOf(name) + 1]);
    const address = `${fact('ip')}:${fact('port')}`;
    return {
      places: new Places(
        tags.map(() => address),
        { isCluster: false, isFixed: false },
      ),
      epoch: Number(fact('config-epoch')),
    };
  });
}

type SlotRange = [from: number, to: number, primary: [host: string | null, port: number, ...Reply[]], ...Reply[]];

function placesIn(ranges: SlotRange[], asked: string): (string | undefined)[] {
  const ofSlot = (slot: number) => ranges.find(([from, to]) => from <= slot && slot <= to)?.[2];
  return tags.map((tag) => {
    const primary = ofSlot(slotOf(tag));
    return primary && `${primary[0] || hostAndPort(asked).host}:${primary[1]}`;
  });
}

async function asking<Answer>(
  dialling: Dialling,
  address: string,
  ask: (ask: (command: string[]) => Promise<Reply>) => Promise<Answer>,
): Promise<Answer> {
  const client = dial({ ...dialling, isOnce: true }, address);
  let cause: Error | undefined;
  client.once('error', (error: Error) => (cause ??= error));
  const timer = setTimeout(() => {
    cause ??= new Error('It does not answer.');
    client.destroy();
  }, ASKING_MS);
  try {
    await client.connect();
    return await ask((command) => client.sendCommand<Reply>(command));
  } catch (error) {
    // What ends the connection says more than that it has ended.
    throw cause ?? error;
  } finally {
    clearTimeout(timer);
    if (client.isOpen) client.destroy();
  }
}
