/** The public API of @engawa/chat-view. */

export { AUTHOR_COLOR_COUNT } from './author-color.ts';
export { findConfusables, looksLatin } from './confusables.ts';
export { findSeqIndex, type HistorySource, HistoryWindow, isConfirmed, type WindowLimits } from './history-window.ts';
export { KnownNames } from './known-names.ts';
export { type ReadMark, ReadMarks } from './local-read-marks.ts';
export { ReplyQuotes } from './reply-quotes.ts';
export { RoomStore, type RoomStoreOptions } from './room-store.ts';
export { type SystemNote, SystemNotes, toSystemNote } from './system-notes.ts';
export { countUnread, formatUnread, type Unread } from './unread.ts';
