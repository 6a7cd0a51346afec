import { readFileSync } from 'node:fs';

/** Hosts that begin every instance with the files of its image alone, by a variable that they set. */
const EPHEMERAL_PLATFORMS = [
  { variable: 'K_SERVICE', name: 'Cloud Run', remedy: 'There is no disk to be had: set REDIS_URL.' },
  { variable: 'RENDER', name: 'Render', remedy: 'Attach a disk with this mount path, or set REDIS_URL.' },
  { variable: 'FLY_APP_NAME', name: 'fly.io', remedy: 'Mount a volume there, or set REDIS_URL.' },
] as const;

/** What is mounted, but is memory, or a bucket that has no locks. */
const VOLATILE_FILE_SYSTEM = /^(tmpfs|ramfs|fuse.*)$/;

interface HostEnvironment {
  env: NodeJS.ProcessEnv;
  /** As /proc/self/mounts has them. */
  mounts: string;
}

/** What an operator should know when the folder, given as its real path, will not outlive this instance, as far as can be known. */
export function ephemeralDiskWarning(folder: string, { env, mounts } = readHostEnvironment()): string | undefined {
  const host = EPHEMERAL_PLATFORMS.find(({ variable }) => (env[variable] ?? '') !== '');
  if (!host || isOnMountedDisk(folder, mounts)) return undefined;
  return `${folder} is gone when this instance of ${host.name} ends, with all rooms, and other instances have other rooms. ${host.remedy}`;
}

function readHostEnvironment(): HostEnvironment {
  try {
    return { env: process.env, mounts: readFileSync('/proc/self/mounts', 'utf8') };
  } catch {
    return { env: process.env, mounts: '' };
  }
}

/** The folder, or one above it but for the topmost, is mounted from a disk. */
function isOnMountedDisk(folder: string, mounts: string): boolean {
  const parentMounts = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, path = '', type = '']) => ({ path: unescapeMountPath(path), type }))
    .filter(({ path }) => path !== '' && `${folder}/`.startsWith(path.replace(/\/*$/, '/')));
  // Of two mounts of one path the later counts.
  const nearest = parentMounts.reduceRight((found, mount) => (mount.path.length > found.path.length ? mount : found), {
    path: '/',
    type: '',
  });
  return nearest.path !== '/' && !VOLATILE_FILE_SYSTEM.test(nearest.type);
}

/** Blanks and the like are three octal digits. */
const unescapeMountPath = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
