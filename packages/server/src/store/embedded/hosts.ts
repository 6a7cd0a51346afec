import { readFileSync } from 'node:fs';

/** Hosts that begin every instance with the files of its image alone, by a variable that they set. */
const HOSTS = [
  { variable: 'K_SERVICE', name: 'Cloud Run', cure: 'There is no disk to be had: set REDIS_URL.' },
  { variable: 'RENDER', name: 'Render', cure: 'Attach a disk with this mount path, or set REDIS_URL.' },
  { variable: 'FLY_APP_NAME', name: 'fly.io', cure: 'Mount a volume there, or set REDIS_URL.' },
] as const;

/** What is mounted, but is memory, or a bucket that has no locks. */
const NO_DISK = /^(tmpfs|ramfs|fuse.*)$/;

interface Surroundings {
  env: NodeJS.ProcessEnv;
  /** As /proc/self/mounts has them. */
  mounts: string;
}

/** What an operator should know when the folder, given as its real path, will not outlive this instance, as far as can be known. */
export function warningOfHost(folder: string, { env, mounts } = surroundings()): string | undefined {
  const host = HOSTS.find(({ variable }) => (env[variable] ?? '') !== '');
  if (!host || isOnDisk(folder, mounts)) return undefined;
  return `${folder} is gone when this instance of ${host.name} ends, with all rooms, and other instances have other rooms. ${host.cure}`;
}

function surroundings(): Surroundings {
  try {
    return { env: process.env, mounts: readFileSync('/proc/self/mounts', 'utf8') };
  } catch {
    return { env: process.env, mounts: '' };
  }
}

/** The folder, or one above it but for the topmost, is mounted from a disk. */
function isOnDisk(folder: string, mounts: string): boolean {
  const above = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, path = '', type = '']) => ({ path: unescaped(path), type }))
    .filter(({ path }) => path !== '' && `${folder}/`.startsWith(path.replace(/\/*$/, '/')));
  // Of two mounts of one path the later counts.
  const nearest = above.reduceRight((found, mount) => (mount.path.length > found.path.length ? mount : found), { path: '/', type: '' });
  return nearest.path !== '/' && !NO_DISK.test(nearest.type);
}

/** Blanks and the like are three octal digits. */
const unescaped = (path: string): string => path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
