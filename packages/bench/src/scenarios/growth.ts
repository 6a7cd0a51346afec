import { withNewServer } from '../harness/server-process.ts';
import { RawClient } from '../load/raw-client.ts';
import type { Cell } from '../report/report.ts';
import { median, percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const MANY = 10_000;
const WARM_UP = 3_000;
/** How many of the first and of the last are compared. */
const COMPARED = 500;

const NOTE = [
  `One connection joins one room under ${MANY.toLocaleString('en-US')} names, then reacts to one chat under each, one after the other.`,
  `From sending to the acknowledgement, each on the disk; ${COMPARED} of each.`,
].join(' ');

export const growth: Scenario = {
  name: 'growth',
  run: ({ folder, progress }) =>
    withNewServer(folder, async ({ url }) => {
      const client = await RawClient.connect(url);
      await grow(client, { roomId: 'warm-up', members: WARM_UP, progress });
      const { joins, reactions } = await grow(client, { roomId: 'growing', members: MANY, progress });
      client.close();
      const last = `last of ${MANY.toLocaleString('en-US')}`;
      return [
        {
          title: 'The ten-thousandth against the first',
          note: NOTE,
          columns: [{ name: 'what' }, { name: 'which' }, { name: 'median', unit: 'ms' }, { name: 'p99', unit: 'ms' }],
          rows: [
            row('add:member', 'first', joins.slice(0, COMPARED)),
            row('add:member', last, joins.slice(-COMPARED)),
            row('add:reaction', 'first', reactions.slice(0, COMPARED)),
            row('add:reaction', last, reactions.slice(-COMPARED)),
          ],
        },
      ];
    }),
};

const row = (what: string, which: string, times: number[]): Cell[] => [what, which, median(times), percentile(times, 0.99)];

interface Growing {
  roomId: string;
  members: number;
  progress: BenchContext['progress'];
}

async function grow(client: RawClient, { roomId, members, progress }: Growing): Promise<{ joins: number[]; reactions: number[] }> {
  const owner = { roomId, username: 'owner' };
  await client.ask('create:room', owner);
  const { seq: chatSeq } = await client.ask('create:chat', { ...owner, message: 'What do you think?' });
  progress(`${members} members join ${roomId}`);
  const joins = await timeEach(members, (number) => client.ask('add:member', { roomId, username: `member-${number}` }));
  progress(`${members} reactions to one chat in ${roomId}`);
  const reactions = await timeEach(members, (number) =>
    client.ask('add:reaction', { roomId, username: `member-${number}`, chatSeq, reaction: '👍' }),
  );
  return { joins, reactions };
}

/** Milliseconds of each. */
async function timeEach(count: number, each: (number: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    const start = performance.now();
    await each(times.length);
    times.push(performance.now() - start);
  }
  return times;
}
