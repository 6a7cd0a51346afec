// `npm run prove:storm -- 100`: so many kills under full load and slow readers.
import { prove } from './prove.js';

prove('packages/bench/test/storm.test.ts', 'ROUNDS', '100');
