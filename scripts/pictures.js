// Draws the screens of README and docs into docs/pictures with the real client: `npm run pictures`.
import { join } from 'node:path';
import { install, root, run } from './install.js';

install('test');
process.env.ENGAWA_PICTURES = join(root, 'docs/pictures');
process.exitCode = run('tsc -b') && run('vitest run packages/terminal/test/pictures.test.ts') ? 0 : 1;
