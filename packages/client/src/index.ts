export type { Chat, ChatPage, ErrorCode, ErrorPayload, MissedEntry, Presence, Retention } from '@engawa/protocol';
export type { Position } from '@engawa/protocol/position';
export type { Client, ClientEvents, ClientOptions, JoinOptions, RoomRange } from './client.ts';
export { connect } from './connect.ts';
export type { ClientState } from './connection.ts';
export type { ConnectionError, ConnectionErrorCode } from './connection-error.ts';
export type { RoomEnding, RoomReset, RoomState } from './follower.ts';
export {
  type Transport,
  type TransportAuth,
  TransportError,
  type TransportFactory,
  type TransportListeners,
  type TransportOptions,
} from './link.ts';
export type { OutgoingChat, OutgoingRequest, OutgoingState } from './outbox.ts';
export { type ErrorInfo, type FailedResult, JoinError, type Result } from './result.ts';
export type { HistoryRange, MemberRange, Room, RoomEvents, SendOptions } from './room.ts';
export type { PendingChat, RoomTimeline, TimelineChat } from './room-timeline.ts';
export type { ClientStorage } from './storage.ts';
export type { OutgoingEvent } from './unsent.ts';
