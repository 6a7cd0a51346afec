/** Warns if the data directory is on a hosting platform's ephemeral disk. */
import { readFileSync } from 'node:fs';

/** Platforms with an ephemeral file system, detected by an environment variable. */
const EPHEMERAL_PLATFORMS = [
  { variable: 'K_SERVICE', name: 'Cloud Run', remedy: 'No persistent disk is available: set REDIS_URL.' },
  { variable: 'RENDER', name: 'Render', remedy: 'Attach a disk with this mount path, or set REDIS_URL.' },
  { variable: 'FLY_APP_NAME', name: 'fly.io', remedy: 'Mount a volume there, or set REDIS_URL.' },
] as const;

/** Mounts that are in memory, or in a bucket without locks. */
const VOLATILE_FILE_SYSTEM = /^(tmpfs|ramfs|fuse.*)$/;

interface HostEnvironment {
  env: NodeJS.ProcessEnv;
  /** The content of /proc/self/mounts. */
  mounts: string;
}

/** The warning for a directory, given as its real path, that is lost with this instance, as far as can be detected. */
export function ephemeralDiskWarning(folder: string, { env, mounts } = readHostEnvironment()): string | undefined {
  const host = EPHEMERAL_PLATFORMS.find(({ variable }) => (env[variable] ?? '') !== '');
  if (!host || isOnMountedDisk(folder, mounts)) return undefined;
  return `${folder} is lost with all rooms when this instance of ${host.name} ends, and other instances have other rooms. ${host.remedy}`;
}

function readHostEnvironment(): HostEnvironment {
  try {
    return { env: process.env, mounts: readFileSync('/proc/self/mounts', 'utf8') };
  } catch {
    return { env: process.env, mounts: '' };
  }
}

/** Whether the directory, or one above it except the root, is a mounted disk. */
function isOnMountedDisk(folder: string, mounts: string): boolean {
  const parentMounts = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, path = '', type = '']) => ({ path: unescapeMountPath(path), type }))
    .filter(({ path }) => path !== '' && `${folder}/`.startsWith(path.replace(/\/*$/, '/')));
  // Of two mounts with the same path, the later one counts.
  const nearest = parentMounts.reduceRight((found, mount) => (mount.path.length > found.path.length ? mount : found), {
    path: '/',
    type: '',
  });
  return nearest.path !== '/' && !VOLATILE_FILE_SYSTEM.test(nearest.type);
}

/** Spaces and similar characters are escaped as three octal digits. */
const unescapeMountPath = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
