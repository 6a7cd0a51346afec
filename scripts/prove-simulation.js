// `npm run prove:simulation -- 20000`: so many storms in virtual time.
import { prove } from './prove.js';

prove('packages/client/test/simulation.test.ts', 'SEEDS', '20000');
