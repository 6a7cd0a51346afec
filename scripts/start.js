// `npm start`: installs and builds what is missing, then becomes the server.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { install, root, run, stop } from './install.js';

/** The shell of npm, which ends when npm is told to stop, and tells nobody. */
const shell = process.ppid;

install('start');
console.log('Building what has changed ...');
if (!run('tsc -b packages/engawa')) stop('Engawa could not be built: the compiler says above why.');

if (process.ppid !== shell) stop('Told to stop.');

// In this process, not a child: signals and the exit code need no passing on, and Ctrl-C arrives once.
const command = join(root, 'packages', 'engawa', 'dist', 'cli.js');
process.argv.splice(1, 1, command, 'serve');
await import(pathToFileURL(command).href);
