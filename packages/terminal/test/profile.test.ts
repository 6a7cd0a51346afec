// Tests of profiles: settings, private files, sessions and rooms.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { connect } from '@engawa/client';
import { createTempFolder, startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { configPath, readConfig, writeConfig } from '#profile/config.js';
import { deleteState, openProfile } from '#profile/profile.js';

const newHome = (env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ HOME: createTempFolder(), USER: 'login', ...env });

const configIn = (env: NodeJS.ProcessEnv): string => String(configPath(env));

const modeOf = (path: string): number => statSync(path).mode & 0o777;

function allFilesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map(({ parentPath, name }) => join(parentPath, name));
}

test('a setting comes from the command line, then the environment, then the profile, then the account', () => {
  const env = newHome();
  expect(openProfile({}, env)).toMatchObject({ name: 'default', username: 'login', server: 'http://localhost:3000/' });
  writeConfig(env, { default: 'work', profiles: new Map([['work', { server: 'https://chat.example', username: 'aya' }]]) });
  expect(openProfile({}, env)).toMatchObject({ name: 'work', username: 'aya', server: 'https://chat.example/' });
  const variables = { ...env, ENGAWA_NAME: 'ben', ENGAWA_SERVER: 'http://other:1' };
  expect(openProfile({}, variables)).toMatchObject({ name: 'work', username: 'ben', server: 'http://other:1/' });
  const line = { as: 'cho', server: 'http://third', profile: 'default' };
  expect(openProfile(line, variables)).toMatchObject({ name: 'default', username: 'cho', server: 'http://third/' });
  expect(openProfile({ profile: 'default' }, env)).toMatchObject({ username: 'login', server: 'http://localhost:3000/' });
});

test('without USER the name is that of the account, and a command that needs no name does without', () => {
  const { HOME } = newHome();
  expect(openProfile({}, { HOME, USER: '' })).toMatchObject({ username: userInfo().username, sources: { username: 'your login' } });
  // A user id without an account has no name.
  const nameless = { uid: 54_321, env: { HOME, PATH: process.env.PATH }, encoding: 'utf8' } as const;
  const PROFILE = new URL('../dist/profile/profile.js', import.meta.url).href;
  const opening = (options: object) =>
    `const { openProfile } = await import(${JSON.stringify(PROFILE)});
    try { console.log(JSON.stringify(openProfile(${JSON.stringify(options)}, {}).username)); } catch (error) { console.log(error.message); }`;
  const opened = (options: object) => execFileSync(process.execPath, ['--input-type=module', '-e', opening(options)], nameless).trim();
  expect(opened({})).toMatch(/^say who you are: --as NAME/);
  expect(opened({ needsName: false })).toBe('""');
});

test('an invalid setting is reported in a readable message', () => {
  const env = newHome();
  writeConfig(env, { profiles: new Map([['work', {}]]) });
  expect(() => openProfile({ profile: 'wrok' }, env)).toThrow('there is no profile "wrok"; did you mean "work"?');
  expect(() => openProfile({ server: 'nowhere' }, env)).toThrow('"nowhere" is no address of a server');
  expect(() => openProfile({ server: 'file:///etc/passwd' }, env)).toThrow('no address of a server');
});

test.each([
  ['{\n  "default": "a",\n  "profiles": {\n    "a": { "server": http }\n  }\n}\n', ':4: is not JSON'],
  ['{\n  "default": "a",\n}\n', ':3: is not JSON'],
  ['{\n  "default": "a"\n', ':3: is not JSON'],
  ['[]', ': must be an object'],
  ['{"profiles": {"../x": {}}}', '"../x" is no name for a profile'],
  ['{"profiles": {"a": {"server": 7}}}', 'profiles.a.server must be a text'],
])('an invalid config file is reported with its position and left unchanged: %j', (text, said) => {
  const env = newHome();
  const path = configIn(env);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text, { mode: 0o600 });
  expect(() => openProfile({}, env)).toThrow(`${path}${said.startsWith(':') ? said : ''}`);
  expect(() => openProfile({}, env)).toThrow(said);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('all files are private to their owner, also those that existed before', () => {
  const env = newHome();
  writeConfig(env, { profiles: new Map() });
  chmodSync(configIn(env), 0o644);
  const profile = openProfile({}, env);
  profile.storage.setItem('engawa:http://localhost:3000/:room:veranda', 'x');
  expect(readConfig(env).profiles.size).toBe(0);
  expect(modeOf(configIn(env))).toBe(0o600);
  for (const path of allFilesIn(String(env.HOME))) {
    const isFolder = statSync(path).isDirectory();
    expect([path, modeOf(path)]).toEqual([path, isFolder ? 0o700 : 0o600]);
  }
  deleteState('default', env);
  expect(existsSync(join(String(env.HOME), '.local', 'state', 'engawa', 'default'))).toBe(false);
});

test('a config file behind a symbolic link stays where it is', () => {
  const env = newHome();
  const elsewhere = join(createTempFolder(), 'kept.json');
  writeFileSync(elsewhere, '{}');
  mkdirSync(join(configIn(env), '..'), { recursive: true });
  symlinkSync(elsewhere, configIn(env));
  writeConfig(env, { profiles: new Map([['work', {}]]) });
  expect(readFileSync(elsewhere, 'utf8')).toContain('work');
  expect(readConfig(env).profiles.has('work')).toBe(true);
});

test('no key leaves the folder of its profile, and keys that differ by case are distinct', () => {
  const env = newHome();
  const { storage } = openProfile({}, env);
  const keys = ['../../../x', '/etc/x', 'A', 'a', 'é', 'e\u0301', '', 'CON', 'x'.repeat(5_000), 'a\u0000b', '__proto__'];
  for (const key of keys) storage.setItem(key, `value of ${key}`);
  const again = openProfile({}, env).storage;
  expect(keys.map((key) => again.getItem(key))).toEqual(keys.map((key) => `value of ${key}`));
  expect(readdirSync(String(env.HOME))).toEqual(['.local']);
  for (const key of keys) again.removeItem(key);
  expect(keys.map((key) => storage.getItem(key))).toEqual(keys.map(() => null));
});

test('stored values are limited by size and by count', () => {
  const env = newHome();
  const { storage } = openProfile({}, env);
  expect(() => storage.setItem('large', 'x'.repeat(9 * 1024 * 1024))).toThrow('more than a file');
  const session = storage.getItem('engawa:x:session');
  storage.setItem('engawa:x:unsent:veranda:1', 'words');
  for (let room = 0; room < 2_050; room += 1) storage.setItem(`room ${room}`, 'x');
  const files = readdirSync(join(String(env.HOME), '.local', 'state', 'engawa', 'default', 'storage'));
  expect(files.filter((name) => name.endsWith('.json'))).toHaveLength(2_000);
  expect(storage.getItem('room 2049')).toBe('x');
  expect(storage.getItem('engawa:x:session')).toBe(session);
  expect(storage.getItem('engawa:x:unsent:veranda:1')).toBe('words');
});

test('without a writable home the profile works and reports that nothing is stored', () => {
  const profile = openProfile({}, { HOME: '/dev/null', USER: 'aya' });
  expect(profile.problem).toMatch(/nothing is stored in \/dev\/null.* \(ENOTDIR\)/);
  profile.storage.setItem('a', 'b');
  expect(profile.storage.getItem('a')).toBe('b');
  expect(profile.cursorPath('veranda')).toBeUndefined();
});

test('profiles and servers are isolated from each other', () => {
  const env = newHome();
  writeConfig(env, { profiles: new Map([['work', {}]]) });
  const session = (profile: string) => openProfile({ profile }, env).storage.getItem('engawa:x:session');
  expect(session('work')).not.toBe(session('default'));
  expect(session('work')).toBe(session('work'));
  openProfile({ profile: 'work' }, env).rooms.write({ open: ['veranda', 'ops'], active: 'ops' });
  expect(openProfile({ profile: 'work' }, env).rooms.read()).toEqual({ open: ['veranda', 'ops'], active: 'ops' });
  expect(openProfile({ profile: 'work', server: 'http://other' }, env).rooms.read()).toMatchObject({ open: [] });
});

test('processes that start at once share one session', async () => {
  const env = newHome();
  const PROFILE = new URL('../dist/profile/profile.js', import.meta.url).href;
  const code = `const { openProfile } = await import(${JSON.stringify(PROFILE)});
    process.stdout.write(String(openProfile({}, process.env).session.getItem('engawa:x:session')));`;
  const sessions = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      await once(child, 'close');
      return text;
    }),
  );
  expect(sessions[0]).toMatch(/^"[\w-]{32}"$/);
  expect(new Set(sessions).size).toBe(1);
});

test('a second process in a room neither loses the state of the first nor makes it leave', async () => {
  const env = newHome();
  const { url } = await startServer();
  const first = openProfile({ server: url, as: 'aya' }, env);
  const client = connect(first.server, { storage: first.storage });
  onTestFinished(() => void client.close());
  const room = await client.join('veranda', { username: 'aya', create: true });
  await room.send('hello').settled;
  expect(first.isOnlyProcess('veranda')).toBe(true);

  const PROFILE = new URL('../dist/profile/profile.js', import.meta.url).href;
  const CLIENT = new URL('../../client/dist/index.js', import.meta.url).href;
  const code = `const { openProfile } = await import(${JSON.stringify(PROFILE)});
    const { connect } = await import(${JSON.stringify(CLIENT)});
    const profile = openProfile({ server: ${JSON.stringify(url)}, as: 'aya' }, process.env);
    const client = connect(profile.server, { storage: profile.storage });
    const room = await client.join('veranda', { username: 'aya' });
    await room.send('from beside').settled;
    process.stdout.write(String(profile.isOnlyProcess('veranda')));
    client.close();`;
  const beside = execFileAsync(process.execPath, ['--input-type=module', '-e', code], env);
  await until(() => room.timeline.chats.some(({ message }) => message === 'from beside'), 'the chat of the other process arrives');
  expect(await beside).toBe('false');
  expect(room.state).toBe('live');
  expect(first.isOnlyProcess('veranda')).toBe(true);
  room.send('still here');
  await until(() => room.timeline.chats.at(-1)?.seq !== undefined, 'sent');
  expect(room.ending).toBeUndefined();
  await client.close();
  const stored = JSON.parse(String(first.storage.getItem(`engawa:${first.server}:room:veranda`))) as { position: { seq: number } };
  expect(stored.position.seq).toBe(room.position.seq);
});

test('the PID file of a killed process is ignored', () => {
  const env = newHome();
  const profile = openProfile({}, env);
  profile.storage.getItem('engawa:http://localhost:3000/:room:veranda');
  const seats = join(String(env.HOME), '.local', 'state', 'engawa', 'default', 'seats');
  const [own = ''] = readdirSync(seats);
  const gone = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }));
  writeFileSync(join(seats, own.replace(/\d+$/, String(gone))), '');
  expect(profile.isOnlyProcess('veranda')).toBe(true);
  writeFileSync(join(seats, own.replace(/\d+$/, String(process.ppid))), '');
  expect(profile.isOnlyProcess('veranda')).toBe(false);
  expect(profile.isOnlyProcess('elsewhere')).toBe(true);
});

async function execFileAsync(program: string, args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(child, 'close');
  return text;
}
