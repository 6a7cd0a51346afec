/** Public exports of the protocol package. */
export * from './errors.ts';
export * from './events.ts';
export * from './limits.ts';
export { mentions } from './mentions.ts';
export * from './position.ts';
export type { Chat, ChatPage, EntryFields, Member, Presence, Room } from './schemas.ts';
export { entry as entrySchema, newRoomId, newUsername } from './schemas.ts';
export * from './text.ts';
export { describeZodIssue } from './zod-messages.ts';
