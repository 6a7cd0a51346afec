import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeSettings, loadSettings, SettingsError } from '#settings.js';
import { newFolder } from './helpers/server.ts';

function settingsFile(content: unknown): string {
  const path = join(newFolder(), 'settings.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

test('without any word every setting has its default', () => {
  const { settings } = loadSettings([], {});
  expect(settings).toEqual({
    port: 3000,
    host: '0.0.0.0',
    dataDir: 'engawa-data',
    origins: ['*'],
    limits: 'on',
    trustedProxies: 0,
    logLevel: 'info',
  });
});

test('flags win over variables, variables over the file, the file over defaults', () => {
  const config = settingsFile({ port: 1, host: '::1', dataDir: 'from-file' });
  const { settings, sources } = loadSettings(['--config', config, '--port', '3'], { PORT: '2', ENGAWA_HOST: '127.0.0.1' });
  expect(settings).toMatchObject({ port: 3, host: '127.0.0.1', dataDir: 'from-file', logLevel: 'info' });
  expect(sources).toMatchObject({ port: 'flag', host: 'variable', dataDir: 'file', logLevel: 'default' });
});

test('an empty variable is none', () => {
  expect(loadSettings([], { PORT: '' }).settings.port).toBe(3000);
});

test('origins are a list of whole origins', () => {
  expect(loadSettings(['--origins', 'https://a.example, https://b.example:8443'], {}).settings.origins).toEqual([
    'https://a.example',
    'https://b.example:8443',
  ]);
});

test.each([
  [['--port', 'x'], {}, '--port'],
  [[], { PORT: '70000' }, 'PORT'],
  [[], { ENGAWA_ORIGINS: 'https://a.example/path' }, 'ENGAWA_ORIGINS'],
  [[], { ENGAWA_LIMITS: 'maybe' }, 'ENGAWA_LIMITS'],
  [['--prot', '1'], {}, '--prot'],
  [['--config', 'nowhere.json'], {}, 'nowhere.json'],
])('%j %j is refused by name: %s', (args, env, named) => {
  expect(() => loadSettings(args, env)).toThrow(SettingsError);
  expect(() => loadSettings(args, env)).toThrow(named);
});

test.each([['{'], [{ prot: 1 }], [[]]])('a file that says %j is refused', (content) => {
  expect(() => loadSettings(['--config', settingsFile(content)], {})).toThrow(SettingsError);
});

test('the settings in force are printed with where they came from', () => {
  const lines = describeSettings(loadSettings(['--port', '81'], { ENGAWA_LOG: 'warn' })).split('\n');
  expect(lines).toHaveLength(7);
  expect(lines[0]).toMatch(/^--port +PORT +81 +flag +TCP port/);
  expect(lines[6]).toMatch(/^--log-level +ENGAWA_LOG +warn +variable /);
});
