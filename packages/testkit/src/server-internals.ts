/** What the server does not export and tests need all the same. */

export { comparisonForms } from '../../server/dist/domain/confusables.js';
export { openRedis } from '../../server/dist/store/redis/redis-store.js';
