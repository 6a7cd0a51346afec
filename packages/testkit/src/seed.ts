/** Where chance begins: at the same place in every run of the tests, so that one code has one result. `SEED=n` begins elsewhere. */
export const seed = Number(process.env.SEED || 1);
