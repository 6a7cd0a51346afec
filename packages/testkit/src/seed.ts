/** The seed of all randomness: the same in every run of the tests, so that the same code has the same result. `SEED=n` sets it. */
export const seed = Number(process.env.SEED || 1);
