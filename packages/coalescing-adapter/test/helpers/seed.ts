/** Where chance begins: at the same place in every run of the tests. `SEED=n` begins elsewhere. */
export const seed = Number(process.env.SEED || 1);
