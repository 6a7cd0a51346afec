/** The seed of random tests, from the environment variable SEED. */

/** The same in every run of the tests, unless `SEED=n` sets it. */
export const seed = Number(process.env.SEED || 1);
