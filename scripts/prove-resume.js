// `npm run prove:resume -- 10000`: so many rounds of kill -9 under clients that stay.
import { prove } from './prove.js';

prove('packages/client/test/resume-rounds.test.ts', 'ROUNDS', '10000');
