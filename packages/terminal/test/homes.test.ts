// Tests of the folders for config and state under any environment.
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { connect, createTempFolder, requestOk, startServer } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { runEngawa } from './helpers/scripting.ts';

const NOTHING_IS_STORED = 'session and unsent chats end with this program';
const OTHER_USER = 65_534;

interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** Shell commands to run before the command, in a private mount namespace. */
  setUp?: string | undefined;
}

/** Runs `engawa send` to a new room. Resolves with its stderr, and the name under which the chat was stored. */
async function send({ env, ...surroundings }: Surroundings): Promise<{ stderr: string; name: string | undefined }> {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await connect(url);
  await requestOk(ben, 'create:room', { roomId: 'ops', username: 'ben' });
  const run = runEngawa(['send', 'ops', 'hello', '--server', url], {
    ...surroundings,
    env: { PATH: process.env.PATH, USER: 'aya', ...env },
  });
  expect(await run.waitForExit()).toBe(0);
  const { chats } = await requestOk(ben, 'list:chats', { roomId: 'ops' });
  return { stderr: run.stderr(), name: chats[0]?.username };
}

/** Relative paths of all files and folders below a folder. */
const below = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

const sessionsIn = (state: string): string[] => below(join(state, 'engawa')).filter((path) => path.endsWith('.session'));

/** A working directory with a planted config file at each place that a relative path may lead to. */
function plantedFolder(): string {
  const folder = createTempFolder();
  for (const path of ['.config', 'relative/.config', 'relative']) {
    const config = join(folder, path, 'engawa', 'config.json');
    mkdirSync(dirname(config), { recursive: true });
    writeFileSync(config, '{ "default": "work", "profiles": { "work": { "username": "planted" } } }', { mode: 0o600 });
  }
  return folder;
}

/** Shell commands that give the user of the command another home, or no account. */
function account(home: string | undefined): string {
  const etc = createTempFolder();
  writeFileSync(join(etc, 'passwd'), home === undefined ? '' : `user:x:${process.getuid?.()}:0::${home}:/bin/sh\n`);
  // NSS modules such as systemd's know the account of root without the file.
  writeFileSync(join(etc, 'nsswitch.conf'), 'passwd: files\n');
  return `mount --bind ${etc}/passwd /etc/passwd; mount --bind ${etc}/nsswitch.conf /etc/nsswitch.conf`;
}

test.each(['', '.', 'relative', '~'])('HOME=%j is ignored with a warning, and the home of the account is used', async (HOME) => {
  const [home, cwd] = [createTempFolder(), plantedFolder()];
  const planted = below(cwd);
  const { stderr, name } = await send({ env: { HOME }, cwd, setUp: account(home) });
  expect(stderr).toBe(`engawa: HOME is not an absolute path and is ignored; ${home} is used\n`);
  expect(name).toBe('aya');
  expect(below(cwd)).toEqual(planted);
  expect(sessionsIn(join(home, '.local', 'state'))).toHaveLength(1);
});

test('a relative XDG folder is ignored with a warning, and an empty one without', async () => {
  const [home, cwd] = [createTempFolder(), plantedFolder()];
  const planted = below(cwd);
  const relative = await send({ env: { HOME: home, XDG_CONFIG_HOME: 'relative', XDG_STATE_HOME: 'relative' }, cwd });
  expect(relative).toEqual({
    stderr: [
      `engawa: XDG_CONFIG_HOME is not an absolute path and is ignored; ${home}/.config is used\n`,
      `engawa: XDG_STATE_HOME is not an absolute path and is ignored; ${home}/.local/state is used\n`,
    ].join(''),
    name: 'aya',
  });
  const empty = await send({ env: { HOME: home, XDG_CONFIG_HOME: '', XDG_STATE_HOME: '' }, cwd });
  expect(empty).toEqual({ stderr: '', name: 'aya' });
  expect(below(cwd)).toEqual(planted);
  expect(sessionsIn(join(home, '.local', 'state'))).toHaveLength(2);
});

test('a missing XDG folder is created with access for its owner only', async () => {
  const state = join(createTempFolder(), 'a', 'b');
  expect(await send({ env: { HOME: noFolder(), XDG_STATE_HOME: state } })).toMatchObject({ stderr: '' });
  expect(sessionsIn(state)).toHaveLength(1);
  expect(statSync(dirname(state)).mode & 0o777).toBe(0o700);
});

interface Unusable {
  env: NodeJS.ProcessEnv;
  setUp?: string;
  /** The reason in the warning that nothing is stored. */
  why: string;
}

test.each<[what: string, unusable: () => Unusable]>([
  ['a HOME that does not exist', () => ({ env: { HOME: noFolder() }, why: 'there is no home folder' })],
  ['a HOME in /proc', () => ({ env: { HOME: '/proc/home' }, why: 'there is no home folder' })],
  ['/proc as HOME', () => ({ env: { HOME: '/proc' }, why: 'nothing is stored in /proc/.local/state/engawa/default (ENOENT)' })],
  [
    'a state folder in /proc',
    () => ({
      env: { HOME: createTempFolder(), XDG_STATE_HOME: '/proc/a/b' },
      why: 'nothing is stored in /proc/a/b/engawa/default (ENOENT)',
    }),
  ],
  [
    'a state folder below a link to nowhere',
    () => ({ env: { HOME: createTempFolder(), XDG_STATE_HOME: join(linkTo('nowhere'), 'state') }, why: 'nothing is stored in' }),
  ],
  ['a HOME that is a link to nowhere', () => ({ env: { HOME: linkTo('nowhere') }, why: 'there is no home folder' })],
  ['a HOME that is a file', () => ({ env: { HOME: '/dev/null' }, why: '(ENOTDIR)' })],
  ['a HOME that takes no files', () => readOnlyHome()],
  [
    'a state folder of another user',
    () => ({ env: { HOME: createTempFolder(), XDG_STATE_HOME: foreignFolder() }, why: "is another user's" }),
  ],
  ['no HOME and no account', () => ({ env: {}, setUp: account(undefined), why: 'there is no home folder' })],
  ['an empty HOME and no account', () => ({ env: { HOME: '' }, setUp: account(undefined), why: 'there is no other home' })],
  ['an account whose home is relative', () => ({ env: {}, setUp: account('relative'), why: 'there is no home folder' })],
  ['an account whose home does not exist', () => ({ env: {}, setUp: account(noFolder()), why: 'there is no home folder' })],
])('with %s the command keeps its session in memory, with a warning', async (_, unusable) => {
  const { env, setUp, why } = unusable();
  const { HOME = '' } = env;
  const isThere = existsSync(HOME);
  const cwd = plantedFolder();
  const planted = below(cwd);
  const { stderr, name } = await send({ env, setUp, cwd });
  expect(stderr).toContain(why);
  expect(stderr.split(NOTHING_IS_STORED)).toHaveLength(2);
  expect(name).toBe('aya');
  expect(below(cwd)).toEqual(planted);
  expect(existsSync(HOME)).toBe(isThere);
});

const noFolder = (): string => join(createTempFolder(), 'nothing');

function linkTo(target: string): string {
  const link = join(createTempFolder(), 'link');
  symlinkSync(target, link);
  return link;
}

function readOnlyHome(): Unusable {
  const home = createTempFolder();
  return { env: { HOME: home }, setUp: `mount -t tmpfs -o ro tmpfs ${home}`, why: '(EROFS)' };
}

function foreignFolder(): string {
  const state = createTempFolder();
  const profile = join(state, 'engawa', 'default');
  mkdirSync(profile, { recursive: true, mode: 0o700 });
  chownSync(profile, OTHER_USER, OTHER_USER);
  return state;
}

test.each(['000', '022', '777'])('under umask %s files are 0600 and folders 0700', async (umask) => {
  const home = createTempFolder();
  const env = { HOME: home, USER: 'aya', PATH: process.env.PATH };
  const setUp = `umask ${umask}`;
  await send({ env, setUp });
  expect(await runEngawa(['profile', 'set', 'work'], { env, setUp }).waitForExit()).toBe(0);
  const modes = new Map(below(home).map((path) => [path, statSync(join(home, path))]));
  expect(modes.size).toBeGreaterThan(10);
  for (const [path, stats] of modes) expect([path, (stats.mode & 0o777).toString(8)]).toEqual([path, stats.isDirectory() ? '700' : '600']);
});

/** Two runs on one server; `tamper` changes the session file between them. */
async function sendTwice(tamper: (session: string) => void): Promise<{ session: string; first: string; stderr: string }> {
  const { url } = await startServer();
  await requestOk(await connect(url), 'create:room', { roomId: 'ops', username: 'ben' });
  const state = createTempFolder();
  const env = { HOME: createTempFolder(), XDG_STATE_HOME: state, USER: 'aya' };
  expect(await runEngawa(['send', 'ops', 'one', '--server', url], { env }).waitForExit()).toBe(0);
  const session = join(state, 'engawa', String(sessionsIn(state)[0]));
  const first = readFileSync(session, 'utf8');
  tamper(session);
  const second = runEngawa(['send', 'ops', 'two', '--server', url], { env });
  expect(await second.waitForExit()).toBe(0);
  return { session, first, stderr: second.stderr() };
}

test('a session file that is a link is replaced by a new session, with a warning', async () => {
  const target = join(createTempFolder(), 'target');
  const { session, first, stderr } = await sendTwice((path) => {
    renameSync(path, target);
    chmodSync(target, 0o644);
    symlinkSync(target, path);
  });
  expect(stderr).toContain(`${session} is not a regular file\n`);
  expect(lstatSync(session).mode).toBe(0o100600);
  expect(readFileSync(session, 'utf8')).not.toBe(first);
  expect([readFileSync(target, 'utf8'), statSync(target).mode & 0o777]).toEqual([first, 0o644]);
});

test('a session file of another user is replaced by a new session, with a warning', async () => {
  const { session, first, stderr } = await sendTwice((path) => chownSync(path, OTHER_USER, OTHER_USER));
  expect(stderr).toContain(`${session} is another user's\n`);
  expect(statSync(session)).toMatchObject({ mode: 0o100600, uid: process.getuid?.() });
  expect(readFileSync(session, 'utf8')).not.toBe(first);
});

test('profile set fails with code 2 without a home', async () => {
  const run = runEngawa(['profile', 'set', 'work'], { env: { HOME: noFolder() } });
  expect(await run.waitForExit()).toBe(2);
  expect(run.stderr()).toBe('engawa: there is no home folder to keep profiles in\n');
});

test('profile and completion ignore a config in the current folder, and profile shows the home in use', async () => {
  const [cwd, setUp] = [plantedFolder(), account(createTempFolder())];
  const list = runEngawa(['profile', 'list'], { env: { PATH: process.env.PATH, HOME: '' }, cwd, setUp });
  expect(await list.waitForExit()).toBe(0);
  expect(list.lines()).toEqual(['* default']);
  expect(list.stderr()).toMatch(/^engawa: HOME is not an absolute path and is ignored; [^\n]+\n$/);
  const completion = runEngawa(['completion', 'profiles'], { env: { PATH: process.env.PATH, HOME: '' }, cwd, setUp });
  expect(await completion.waitForExit()).toBe(0);
  expect([completion.lines(), completion.stderr()]).toEqual([['default'], '']);
});
