// Tells whether a time is today.
/** Compares days in the local time zone. `at` is in milliseconds since 1970. */
export const isToday = (at: number): boolean => new Date(at).toDateString() === new Date().toDateString();
