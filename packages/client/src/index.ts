/** The public API of @engawa/client. */

export type { Chat, ChatPage, ErrorCode, ErrorPayload, MissedEntry, Presence, Retention } from '@engawa/protocol';
export type { Position } from '@engawa/protocol/position';
export type { Client, ClientEvents, ClientOptions, JoinOptions, RoomRange } from './client.ts';
export { connect } from './connect.ts';
export type { ClientState } from './connection/connection.ts';
export type { ConnectionError, ConnectionErrorCode } from './connection/connection-error.ts';
export { type ErrorInfo, type FailedResult, JoinError, type Result } from './connection/result.ts';
export {
  type Transport,
  type TransportAuth,
  TransportError,
  type TransportFactory,
  type TransportListeners,
  type TransportOptions,
} from './connection/transport.ts';
export type { OutgoingChat, OutgoingRequest, OutgoingState } from './room/outbox.ts';
export type { HistoryRange, MemberRange, Room, RoomEvents, SendOptions } from './room/room.ts';
export type { RoomEnding, RoomReset, RoomState } from './room/room-sync.ts';
export type { PendingChat, RoomTimeline, TimelineChat } from './room/timeline.ts';
export type { OutgoingEvent } from './storage/outbox-store.ts';
export type { ClientStorage } from './storage/storage.ts';
