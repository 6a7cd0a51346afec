/** A store that tells badly what is appended: here one in memory, so that it is bad enough. */
import { expect, test } from 'vitest';
import { ROOM, talkAll } from '../helpers/people.ts';
import { Scene } from '../helpers/scene.ts';
import { flawsOf, startStormyServers } from '../helpers/two-servers.ts';

const seed = Number(process.env.SEED || Math.floor(Math.random() * 1e9));

test(`F15: what the store tells late, twice, out of order or not at all is told to people as it is (SEED=${seed})`, async () => {
  const { servers, tellings, store } = await startStormyServers(seed, { lose: 0.15, duplicate: 0.15, reorder: 0.15 });
  const scene = new Scene();
  const people = await scene.enterBoth(servers);
  const hush = talkAll(people);
  await scene.untilAcknowledged(400);
  hush();
  await scene.endsWell(store);
  const { head } = await store.read(ROOM, {});
  for (const telling of tellings) {
    const { lost, doubled, overtaken } = flawsOf(telling, head);
    expect(lost, 'entries that a server was never told').toBeGreaterThan(5);
    expect(doubled, 'entries that it was told twice').toBeGreaterThan(5);
    expect(overtaken, 'entries that others overtook').toBeGreaterThan(5);
  }
});
