export * from './errors.ts';
export * from './events.ts';
export * from './limits.ts';
export type { Chat, EntryFields, Member, Room } from './model.ts';
export { entry as entrySchema } from './model.ts';
