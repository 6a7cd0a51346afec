// `npm run prove:redis -- 1000`: so many faults of nodes and of a Redis Cluster under clients that stay, at each level.
import { prove } from './prove.js';

process.env.DURABILITY ||= 'replicated,fast';
prove('packages/client/test/redis-rounds.test.ts', 'ROUNDS', '1000');
