/** The warning about platforms without a persistent disk. */
import { expect, test } from 'vitest';
import { ephemeralDiskWarning } from '#store/embedded/ephemeral-disk-warning.js';

/** Mounts of a container: the image, system files, and further mounts. */
const mountsWith = (...lines: string[]): string =>
  ['overlay / overlay rw,relatime 0 0', 'proc /proc proc rw 0 0', 'tmpfs /dev tmpfs rw 0 0', ...lines, ''].join('\n');

const DISK = '/dev/vdb /data ext4 rw,relatime 0 0';

test.each([
  ['Cloud Run', { K_SERVICE: 'chat' }, 'No persistent disk is available: set REDIS_URL.'],
  ['Render', { RENDER: 'true' }, 'Attach a disk with this mount path, or set REDIS_URL.'],
  ['fly.io', { FLY_APP_NAME: 'chat' }, 'Mount a volume there, or set REDIS_URL.'],
])('a warning is written on %s for a directory that is not on a disk of its own', (name, env, cure) => {
  const warning = `/data is lost with all rooms when this instance of ${name} ends, and other instances have other rooms. ${cure}`;
  expect(ephemeralDiskWarning('/data', { env, mounts: mountsWith() })).toBe(warning);
  expect(ephemeralDiskWarning('/data', { env, mounts: '' })).toBe(warning);
  expect(ephemeralDiskWarning('/data', { env, mounts: mountsWith(DISK) })).toBe(undefined);
});

test.each([
  ['beneath a disk', '/data/engawa', [DISK], false],
  ['beneath a disk with a blank in its name', '/my data/engawa', ['/dev/vdb /my\\040data ext4 rw 0 0'], false],
  ['in memory', '/data', ['tmpfs /data tmpfs rw 0 0'], true],
  ['in memory, beneath a disk', '/data/engawa', [DISK, 'tmpfs /data/engawa tmpfs rw 0 0'], true],
  ['on a disk, which was mounted over memory', '/data', ['tmpfs /data tmpfs rw 0 0', DISK], false],
  ['in memory, which was mounted over a disk', '/data', [DISK, 'tmpfs /data tmpfs rw 0 0'], true],
  ['in a bucket', '/data', ['rooms /data fuse.gcsfuse rw 0 0'], true],
  ['beside a disk whose name begins alike', '/data-2', [DISK], true],
])('a folder %s: %s', (_, folder, lines, isWarnedOf) => {
  const warning = ephemeralDiskWarning(folder, { env: { RENDER: 'true' }, mounts: mountsWith(...lines) });
  expect(warning !== undefined).toBe(isWarnedOf);
});

test('on other hosts no warning is written', () => {
  expect(ephemeralDiskWarning('/data', { env: {}, mounts: mountsWith() })).toBe(undefined);
  expect(ephemeralDiskWarning('/data', { env: { K_SERVICE: '' }, mounts: mountsWith() })).toBe(undefined);
});
