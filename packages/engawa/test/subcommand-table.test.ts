// Tests of what is generated from the table of subcommands: help, completion and man page.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { manPage } from '#man.js';
import { subcommands } from '#subcommands.js';

const ENGAWA = fileURLToPath(new URL('../bin/engawa.js', import.meta.url));
const PAGE = fileURLToPath(new URL('../man/engawa.1', import.meta.url));

function engawa(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [ENGAWA, ...args], { encoding: 'utf8', env: { ...process.env, ...env } });
  return { code: status, stdout, stderr };
}

const isThere = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

test.each(subcommands.map(({ name }) => name))('help explains %s', async (name) => {
  const { code, stdout } = engawa(['help', name]);
  expect(code).toBe(0);
  const { summary, examples } = subcommands.find((each) => each.name === name) ?? { summary: '-', examples: [] };
  expect(stdout).toContain(summary);
  for (const [command] of examples) expect(stdout).toContain(command);
  if (name !== 'help') expect(engawa([name, '--help']).stdout).toBe(stdout);
});

test('an unknown subcommand is reported with a suggestion and exit code 2', () => {
  expect(engawa(['tial'])).toMatchObject({ code: 2, stdout: '' });
  expect(engawa(['tial']).stderr).toContain('there is no "tial"; did you mean "tail"?');
  expect(engawa(['help', 'raed']).stderr).toContain('did you mean "read"?');
  expect(engawa(['send', 'ops', '--crate', 'x'])).toMatchObject({ code: 2 });
  expect(engawa(['send', 'ops', '--crate', 'x']).stderr).toContain('there is no option --crate; did you mean "--create"?');
  expect(engawa(['read', 'ops', '--limit']).stderr).toContain('--limit: its value is missing');
  expect(engawa(['read']).stderr).toBe('engawa: which room?\nSee: engawa read --help\n');
});

test('help loads neither the server nor Socket.IO', () => {
  const { stderr, stdout } = spawnSync(process.execPath, [ENGAWA, 'help'], {
    encoding: 'utf8',
    env: { ...process.env, NODE_DEBUG: 'esm' },
  });
  expect(stdout).toContain('engawa send');
  expect(stderr).toContain('/terminal/dist/subcommands.js');
  expect(stderr).not.toMatch(/socket\.io|\/server\/dist/);
});

test('the committed man page is up to date', async () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(await manPage(subcommands));
});

test.skipIf(!isThere('groff'))('groff reads the man page without a warning', () => {
  const { stdout, stderr, status } = spawnSync('groff', ['-man', '-ww', '-Tutf8', PAGE], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('tail -f app.log | engawa send ops');
});

test.skipIf(!isThere('bash'))('bash completes subcommands, options, profiles and rooms, and executes no room name', () => {
  const home = createTempFolder();
  const bin = join(home, 'engawa');
  const room = `$(touch ${home}/pwned) \`x\``;
  writeFileSync(bin, `#!/bin/sh\nexec '${process.execPath}' '${ENGAWA}' "$@"\n`);
  chmodSync(bin, 0o755);
  const env = { PATH: `${home}:${process.env.PATH}`, HOME: home, USER: 'aya' };
  execFileSync(bin, ['profile', 'set', 'work', '--as', 'aya'], { env });
  execFileSync(process.execPath, [
    '--input-type=module',
    '-e',
    `const { openProfile } = await import(${JSON.stringify(new URL('../../terminal/dist/profile/profile.js', import.meta.url).href)});
     openProfile({}, ${JSON.stringify(env)}).rooms.write({ open: ['veranda', ${JSON.stringify(room)}, 'a\\u001b[2Jb'] });`,
  ]);
  const complete = (...words: string[]): string[] => {
    const line = words.map((word) => `'${word}'`).join(' ');
    const script = `source <(engawa completion bash); COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _engawa; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', script], { encoding: 'utf8', env })
      .split('\n')
      .filter((each) => each !== '');
  };
  expect(complete('engawa', 'se')).toEqual(['serve', 'send', 'settings']);
  expect(complete('engawa', 'send', '--no')).toEqual(['--no-split']);
  expect(complete('engawa', 'serve', '--da')).toEqual(['--data-dir']);
  expect(complete('engawa', 'read', 'ops', '--profile', '')).toEqual(['default', 'work']);
  expect(complete('engawa', 'profile', 'us')).toEqual(['use']);
  expect(complete('engawa', 'tail', 'v')).toEqual(['veranda']);
  expect(complete('engawa', 'tail', '')).toHaveLength(2);
  expect(() => readFileSync(join(home, 'pwned'))).toThrow('ENOENT');
  expect(execFileSync('bash', ['-n', '-c', engawa(['completion', 'bash']).stdout], { encoding: 'utf8' })).toBe('');
});

test('completion without a shell lists the shells', () => {
  expect(engawa(['completion', 'csh'])).toMatchObject({ code: 2 });
  for (const shell of ['zsh', 'fish']) expect(engawa(['completion', shell]).stdout).toContain('completion rooms');
});

test('an unknown option is reported with a suggestion, and with how to write a value that begins with -', () => {
  const env = { HOME: createTempFolder(), USER: 'aya' };
  expect(engawa(['read', 'ops', '--jsn'], env).stderr).toContain('there is no option --jsn; did you mean "--json"? What begins with -');
  expect(engawa(['read', 'ops', '--limit', '-3'], env).stderr).toContain(
    '--limit: its value is missing; one that begins with - is written --limit=-...',
  );
  expect(engawa(['read', 'ops', '--limit=-3'], env).stderr).toContain('--limit must be a whole number (given: -3)');
});

test('profiles are created, shown, selected and removed', () => {
  const env = { HOME: createTempFolder(), USER: 'aya', XDG_CONFIG_HOME: '', XDG_STATE_HOME: '', ENGAWA_NAME: '', ENGAWA_SERVER: '' };
  expect(engawa(['profile'], env).stdout).toBe('* default\n');
  const first = engawa(['profile', 'set', 'work', '--server', 'https://chat.example', '--as', 'あや'], env);
  expect(first).toMatchObject({ code: 0, stdout: 'work is used from now on where no other profile is named\n' });
  expect(engawa(['profile', 'set', 'home', '--as', 'a'], env)).toMatchObject({ code: 0, stdout: '' });
  expect(engawa(['profile'], env).stdout).toBe('  default\n* work  あや  https://chat.example/\n  home  a\n');
  expect(engawa(['profile', 'use', 'home'], env).code).toBe(0);
  expect(engawa(['profile', 'show'], env).stdout).toContain(
    'profile  home\nname     a (the profile)\nserver   http://localhost:3000/ (the default)\n',
  );
  expect(engawa(['profile', 'show'], { ...env, ENGAWA_NAME: 'b' }).stdout).toContain('name     b (ENGAWA_NAME)\n');
  expect(engawa(['profile', 'remove', 'home'], env).code).toBe(0);
  expect(engawa(['profile', 'list'], env).stdout).toBe('* default\n  work  あや  https://chat.example/\n');
  expect(engawa(['profile', 'use', 'work'], env).code).toBe(0);
  expect(engawa(['profile', 'use', 'default'], env).code).toBe(0);
  expect(engawa(['profile', 'show'], env).stdout).toContain('profile  default\nname     aya (your login)\n');
  expect(engawa(['profile', 'use', 'nosuch'], env)).toMatchObject({ code: 2, stderr: 'engawa: there is no profile "nosuch"\n' });
  expect(engawa(['profile', 'set', '../x'], env)).toMatchObject({ code: 2 });
  expect(engawa(['profile', 'set', 'x', '--server', 'nowhere'], env)).toMatchObject({ code: 2 });
});
