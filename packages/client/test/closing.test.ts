/** Programs that exit: a closed client does not keep Node alive. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { withTimeout } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';

const SDK = fileURLToPath(new URL('../dist/index.js', import.meta.url));
/** Less than any timer of the SDK and of the libraries below it, except the forced close. */
const SOON_MS = 4_000;

/** A program that uses a client, and closes it on request. */
async function start(url: string, course: string): Promise<{ endsSoon: () => Promise<void> }> {
  const program = `
    import { once } from 'node:events';
    import { connect } from ${JSON.stringify(SDK)};
    const client = connect(${JSON.stringify(url)});
    ${course}
    console.log('ready');
    await once(process.stdin, 'data');
    process.stdin.destroy();
    await client.close();
    console.log('closed');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (text: Buffer) => {
    said += String(text);
  });
  await withTimeout(once(child.stdout, 'data'), 'a program to be ready');
  return {
    async endsSoon() {
      child.stdin.write('close');
      const [code] = (await withTimeout(once(child, 'exit'), 'a program to end', SOON_MS)) as [number];
      expect([code, said]).toEqual([0, 'ready\nclosed\n']);
    },
  };
}

const IN_A_ROOM = `
  const room = await client.join('veranda', { username: 'aya', create: true });
  await room.send('hello').settled;
  room.typing();
  room.markRead();
  room.send('on its way');`;

test.each([
  ['before it is connected', ''],
  ['in a room, with a pending chat', IN_A_ROOM],
])('a program that closes its client %s exits', async (_, course) => {
  const server = await ServerProcess.start(createTempFolder());
  await (await start(server.url, course)).endsSoon();
});

test('a program exits when the server does not answer, or is gone', async () => {
  const server = await ServerProcess.start(createTempFolder());
  const [frozen, gone] = [await start(server.url, IN_A_ROOM), await start(server.url, '')];
  server.freeze();
  await frozen.endsSoon();
  await server.kill();
  await gone.endsSoon();
});
