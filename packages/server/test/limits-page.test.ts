/** docs/limits.md and docs/operations.md name the existing settings. */
import { readFileSync } from 'node:fs';
import { LIMITS } from '@engawa/protocol';
import { expect, test } from 'vitest';
import { limitsFromSettings } from '#config/limits.js';
import { loadSettings, settingOptions } from '#config/settings.js';

const page = (name: string): string => readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8');
const flagsIn = (text: string): string[] => [...text.matchAll(/`--([a-z-]+)/g)].map(([, flag]) => String(flag));
const settings = Object.keys(settingOptions());
/** Of Node. */
const OTHERS = ['max-old-space-size'];

test('every setting on the page of limits exists', () => {
  expect(flagsIn(page('limits')).filter((flag) => !settings.includes(flag) && !OTHERS.includes(flag))).toEqual([]);
});

test('every limit per address and every quota is on the page of limits', () => {
  const named = new Set(flagsIn(page('limits')));
  const bounding = settings.filter((flag) => flag.endsWith('-per-address') || flag.startsWith('quota-'));
  expect(bounding.filter((flag) => !named.has(flag))).toEqual([]);
});

test('the table of settings has each setting once', () => {
  const rows = [...page('operations').matchAll(/^\| `--([a-z-]+)` \| `[A-Z_]+` \|/gm)].map(([, flag]) => flag);
  expect(rows.toSorted()).toEqual(settings.filter((flag) => flag !== 'config').toSorted());
});

test('each limit per address has a setting that lifts it alone', () => {
  const flags = settings.filter((flag) => flag.endsWith('-per-address'));
  const lifted = flags.map((flag) => limitsFromSettings(loadSettings([`--${flag}`, '0'], {}).settings).perAddress);
  for (const limits of lifted) expect(Object.values(limits).filter((limit) => limit === null)).toHaveLength(1);
  const names = Object.keys(LIMITS.perAddress) as (keyof typeof LIMITS.perAddress)[];
  expect(names.filter((name) => !lifted.some((limits) => limits[name] === null))).toEqual([]);
});
