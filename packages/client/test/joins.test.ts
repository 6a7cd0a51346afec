/** Many joins at once, against the rate limit of a server. */
import { connect } from '@engawa/client';
import { LIMITS } from '@engawa/protocol/limits';
import { connect as connectPlain, requestOk, startServer } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';

const { burst, perSecond } = LIMITS.rates.joins;
const OVER = 6;
const rooms = Array.from({ length: burst + OVER }, (_, index) => `room ${index}`);

test('many joins at once finish as fast as the rate limit allows, in order, with few refused requests', async () => {
  const { url } = await startServer();
  const owners = [await connectPlain(url), await connectPlain(url)];
  for (const [index, roomId] of rooms.entries())
    await requestOk(owners[index % owners.length]!, 'create:room', { roomId, username: 'owner' });

  const client = connect(url);
  onTestFinished(() => client.close());
  const refusals: string[] = [];
  client.on('error', ({ code }) => refusals.push(code));
  const started = performance.now();
  const entered: string[] = [];
  await Promise.all(rooms.map((roomId) => client.join(roomId, { username: 'aya' }).then(() => entered.push(roomId))));
  const took = performance.now() - started;

  expect(entered.slice(-OVER)).toEqual(rooms.slice(-OVER));
  expect(took).toBeLessThan((OVER / perSecond) * 1_000 + 2_000);
  expect(new Set(refusals)).toEqual(new Set(['rate_limited']));
  expect(refusals.length).toBeGreaterThanOrEqual(OVER);
  expect(refusals.length, 'each is refused at once, and then once more perhaps').toBeLessThanOrEqual(3 * OVER);
});
