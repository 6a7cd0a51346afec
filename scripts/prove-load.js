// `npm run prove:load -- 100`: so many kills under full load, with slow readers.
import { prove } from './prove.js';

prove('packages/client/test/full-load.test.ts', 'KILLS', '100');
