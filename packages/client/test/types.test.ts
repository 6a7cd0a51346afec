/** The types of the public API. */
import type {
  Chat,
  Client,
  ClientState,
  connect,
  ErrorInfo,
  ErrorPayload,
  FailedResult,
  JoinOptions,
  MissedEntry,
  OutgoingChat,
  Position,
  Presence,
  Result,
  Room,
  RoomEnding,
  RoomEvents,
  RoomState,
  TimelineChat,
} from '@engawa/client';
import { expectTypeOf, test } from 'vitest';

/** The names of members that are, take or return `any`. */
type Loose<T> = { [K in keyof T]: IsLoose<T[K]> extends true ? K : never }[keyof T];
type IsAny<T> = 0 extends 1 & T ? true : false;
type IsLoose<T> =
  IsAny<T> extends true ? true : T extends (...args: infer A) => infer R ? Either<IsAny<A[number]>, IsAny<Awaited<R>>> : false;
type Either<One, Other> = One extends true ? true : Other;

// Checked by the compiler: the tests only have to compile.
test('the public API has no type any', () => {
  expectTypeOf<Loose<Client>>().toBeNever();
  expectTypeOf<Loose<Room>>().toBeNever();
  expectTypeOf<Loose<Room['timeline']>>().toBeNever();
  expectTypeOf<Loose<OutgoingChat>>().toBeNever();
  expectTypeOf<Loose<RoomEvents>>().toBeNever();
  expectTypeOf<Loose<{ loose: () => Promise<ReturnType<typeof JSON.parse>> }>>().toEqualTypeOf<'loose'>();
});

test('each event has the type of its payload', () => {
  type ReceivedEntry<Name extends keyof RoomEvents> = RoomEvents[Name];
  expectTypeOf<ReceivedEntry<'chat'>>().toEqualTypeOf<Chat>();
  expectTypeOf<ReceivedEntry<'entry'>>().toEqualTypeOf<MissedEntry>();
  expectTypeOf<Extract<MissedEntry, { kind: 'add:member' }>['username']>().toEqualTypeOf<string>();
  expectTypeOf<ReceivedEntry<'typing'>>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<ReceivedEntry<'presence'>>().toEqualTypeOf<{ username: string; presence: Presence; online: number }>();
  expectTypeOf<ReceivedEntry<'read'>>().toEqualTypeOf<{ username: string; read: number }>();
  expectTypeOf<ReceivedEntry<'ended'>>().toEqualTypeOf<RoomEnding>();
  expectTypeOf<ReceivedEntry<'state'>>().toEqualTypeOf<RoomState>();
  expectTypeOf<Parameters<Client['on']>[0]>().toEqualTypeOf<'state' | 'change' | 'error'>();
  expectTypeOf<ReturnType<Room['on']>>().toEqualTypeOf<() => void>();
});

test('a result is narrowed by its ok, and an error by its code', () => {
  type Edited = Awaited<ReturnType<Room['edit']>>;
  expectTypeOf<Edited>().toEqualTypeOf<Result<'update:chat'>>();
  expectTypeOf<Extract<Edited, { ok: true }>['seq']>().toEqualTypeOf<number>();
  expectTypeOf<Extract<Edited, { ok: false }>>().toEqualTypeOf<FailedResult>();
  expectTypeOf<'name_taken' | 'closed'>().toExtend<ErrorInfo['code']>();
  expectTypeOf<'no_such_code'>().not.toExtend<ErrorInfo['code']>();
  expectTypeOf<ErrorPayload>().toExtend<ErrorInfo>();
});

test('a pending chat is distinguished from a delivered one by its state', () => {
  expectTypeOf<Extract<TimelineChat, { state: string }>['outgoing']>().toEqualTypeOf<OutgoingChat>();
  expectTypeOf<Exclude<TimelineChat, { state: string }>['seq']>().toEqualTypeOf<number>();
  expectTypeOf<Room['timeline']['chats']>().toEqualTypeOf<readonly TimelineChat[]>();
});

test('the arguments of connect and join are checked', () => {
  expectTypeOf<Client['state']>().toEqualTypeOf<ClientState>();
  expectTypeOf<JoinOptions['from']>().toEqualTypeOf<'stored' | 'newest' | Position | undefined>();
  expectTypeOf<Parameters<typeof connect>[0]>().toEqualTypeOf<string>();
  expectTypeOf<ReturnType<Client['join']>>().toEqualTypeOf<Promise<Room>>();
  expectTypeOf<{ create: true }>().not.toExtend<JoinOptions>();
});
