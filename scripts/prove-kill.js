// `npm run prove:kill -- 10000`: so many rounds of kill -9, each on what the last one left.
import { prove } from './prove.js';

prove('packages/server/test/kill.test.ts', 'ROUNDS', '10000');
