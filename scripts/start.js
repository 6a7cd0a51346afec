// Starts the server in this process, after installing and building what is missing: `npm start`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { install, root, run, stop } from './install.js';

/** The shell of npm. When npm receives a signal the shell ends, but this process gets no signal. */
const shell = process.ppid;

install('start');
console.log('Building what has changed ...');
if (!run('tsc -b packages/engawa')) stop('Engawa could not be built: the compiler says above why.');

if (process.ppid !== shell) stop('Stopped by a signal.');

// In this process: signals and exit code need not be forwarded, and Ctrl-C arrives only once.
const command = join(root, 'packages', 'engawa', 'dist', 'cli.js');
process.argv.splice(1, 1, command, 'serve');
await import(pathToFileURL(command).href);
