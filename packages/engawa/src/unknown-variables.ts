// Finds environment variables that look like settings and are none.
/** Kubernetes sets these for a service with the name "engawa". */
const SERVICE_LINK = /^ENGAWA_(SERVICE|PORT)(_|$)/;

/** The names of the variables that begin with `ENGAWA_` and that no subcommand reads. */
export const findUnknownVariables = (env: NodeJS.ProcessEnv, known: readonly string[]): string[] =>
  Object.keys(env).filter((name) => name.startsWith('ENGAWA_') && !known.includes(name) && !SERVICE_LINK.test(name));
