/** Whether this moment was on the day that it is here now. */
export const isToday = (at: number): boolean => new Date(at).toDateString() === new Date().toDateString();
