// Opens and closes one Redis store after the other, prints how each went, and ends when nothing is left open:
// `node open-redis-repeatedly.js OPTIONS...`, each as JSON.
/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-argument --
   plain JavaScript, because Node runs it as it is, and that has no types */
import { openRedis } from '#store/redis/redis-store.js';

for (const options of process.argv.slice(2)) {
  try {
    const store = await openRedis(JSON.parse(options));
    const { outcome } = await store.append('veranda', {
      epoch: null,
      expectedVersions: [],
      drafts: [{ id: '1', by: 'aya', author: 'aya', kind: 'chat', body: {} }],
    });
    await store.close();
    console.log(JSON.stringify({ outcome, kind: store.serverInfo.kind }));
  } catch ({ name, reason, message }) {
    console.log(JSON.stringify({ name, reason, message }));
  }
}
