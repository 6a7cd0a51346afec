// A process of its own that has a store: `node store-process.js <folder> <task>`. It prints what it did, line by line.
/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-return --
   plain JavaScript, because Node runs it as it is, and that has no types */
import { openEmbedded } from '#store/embedded/embedded-store.js';

const [folder, task] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${line}\n`);
const draft = (text, more = {}) => ({ id: crypto.randomUUID(), by: 'aya', author: 'user:aya', kind: 'chat', body: { text }, ...more });

const tasks = {
  async hold() {
    say('open');
  },

  /** Leaves a room behind. */
  async fill(store) {
    await store.append('den', { epoch: null, expectedVersions: [], drafts: [draft('opens')] });
    await store.close();
    say('filled');
  },

  /** Appends without end, and says each seq once it is answered. */
  async write(store) {
    const { epoch } = await store.append('den', { epoch: null, expectedVersions: [], drafts: [draft('opens')] });
    const write = async (writer) => {
      for (let turn = 0; ; turn += 1) {
        const drafts = [draft('one'), draft('two', { keyUpdates: [[`last/${writer}`, turn]] })];
        const { entries } = await store.append('den', { epoch, expectedVersions: [], idempotencyKey: `${writer}:${turn}`, drafts });
        say(`${writer}:${turn} ${entries.map(({ seq }) => seq).join(' ')}`);
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(write));
  },

  /** Appends until it may not, then says how it went on. */
  async fail(store) {
    const { epoch } = await store.append('den', { epoch: null, expectedVersions: [], drafts: [draft('opens')] });
    const append = () => store.append('den', { epoch, expectedVersions: [], drafts: [draft('x'.repeat(5_000))] });
    let stored = 1;
    try {
      for (;;) {
        await append();
        stored += 1;
      }
    } catch (error) {
      say(error.reason);
    }
    await append().catch((error) => say(`${error.reason} ${error.message}`));
    const { head } = await store.read('den', {});
    say(`${store.isWritable ? 'writable' : 'not writable'}, ${stored} kept, ${head} read`);
    await store.close();
  },

  /** Ends the hard way in the moment in which the erasing is answered. */
  async erase(store) {
    const { epoch } = await store.append('den', { epoch: null, expectedVersions: [], drafts: [draft('erased secret')] });
    await store.append('den', { epoch, expectedVersions: [], drafts: [draft('erases', { eraseSeqs: [1] })] });
    process.kill(process.pid, 'SIGKILL');
  },

  /** Ends the hard way in the moment in which the trimming is answered. */
  async trim(store) {
    const { epoch } = await store.append('den', { epoch: null, expectedVersions: [], drafts: [draft('erased secret'), draft('stays')] });
    await store.trim('den', { epoch, below: 2 });
    process.kill(process.pid, 'SIGKILL');
  },
};

try {
  await tasks[task](await openEmbedded({ folder }));
} catch (error) {
  say(`${error.name} ${error.reason} ${error.message}`);
}
