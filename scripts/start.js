// `npm start`: installs and builds what is missing, then becomes the server.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { install, root, run, stop } from './set-up.js';

install('start');
console.log('Building what has changed ...');
if (!run('tsc -b packages/engawa')) stop('Engawa could not be built: the compiler says above why.');

// In this process, not a child: signals and the exit code need no passing on, and Ctrl-C arrives once.
const command = join(root, 'packages', 'engawa', 'dist', 'cli.js');
process.argv.splice(1, 1, command, 'serve');
await import(pathToFileURL(command).href);
