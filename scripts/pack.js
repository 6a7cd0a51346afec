// Builds and packs the packages for `npm install` into the folder `packed`: `npm run pack`.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { install, root, run, stop } from './install.js';

const FOLDER = 'packed';

install('start');
const isPublished = (name) => !JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')).private;
const packages = readdirSync(join(root, 'packages'))
  .filter(isPublished)
  .map((name) => `./packages/${name}`)
  .join(' ');
if (!run(`tsc -b ${packages}`)) stop('Engawa could not be built: the compiler says above why.');
rmSync(join(root, FOLDER), { recursive: true, force: true });
mkdirSync(join(root, FOLDER));
if (!run(`npm pack --loglevel=error --pack-destination ${FOLDER} ${packages}`)) stop('npm says above why it could not pack.');
