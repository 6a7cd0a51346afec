// Tests of the package as front ends use it: the example of the README, and the bundle for browsers.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServer } from '@engawa/testkit/processes/server';
import { until } from '@engawa/testkit/wait-for';
import { rolldown } from 'rolldown';
import { expect, onTestFinished, test } from 'vitest';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));

test('the example of the README prints the chats', async () => {
  const { url } = await startServer();
  const example = /```js\n(.*?)```/s.exec(readFileSync(`${PACKAGE}/README.md`, 'utf8'))?.[1] ?? '';
  expect(example).toContain('http://localhost:3000');
  const program = spawn(process.execPath, ['--input-type=module', '-e', example.replace('http://localhost:3000', url)], { cwd: PACKAGE });
  onTestFinished(() => void program.kill('SIGKILL'));
  let output = '';
  for (const stream of [program.stdout, program.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until(() => output.includes('aya: hello') || program.exitCode !== null, 'the example prints a chat', 30_000);
  expect(output).toMatch(/^\d+ aya: hello$/m);
});

test('the bundle for browsers imports nothing, and has neither the SDK nor zod in it', async () => {
  const bundle = await rolldown({ input: `${PACKAGE}/dist/index.js`, platform: 'browser' });
  onTestFinished(() => bundle.close());
  const { output } = await bundle.generate();
  const { code, imports, moduleIds } = output[0];
  expect(imports).toEqual([]);
  expect(code).not.toMatch(/\brequire\(|\bprocess\.|\bBuffer\b/);
  expect(moduleIds.filter((id) => !/\/packages\/(chat-view|protocol)\/dist\//.test(id))).toEqual([]);
});
