export * from './errors.ts';
export * from './events.ts';
export * from './limits.ts';
export { mentions } from './mentions.ts';
export type { Chat, ChatPage, EntryFields, Member, Presence, Room } from './model.ts';
export { entry as entrySchema, newRoomId, newUsername } from './model.ts';
export { describeZodIssue } from './plain-words.ts';
export * from './position.ts';
export * from './text.ts';
