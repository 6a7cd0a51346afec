// Prints the chats and entries of a room, and advances the cursor file once they are written.
import type { Chat, MissedEntry, Position } from '@engawa/client';
import { CliError } from '../command-line/cli-error.ts';
import { type Arguments, UsageError } from '../command-line/subcommand.ts';
import type { CommandSession } from './command-session.ts';
import { CursorFile } from './cursor-file.ts';
import type { FollowedEntry, FollowOptions } from './follow-room.ts';
import { formatChat, formatEntry, toChatRecord, toEntryRecord, toJsonLine } from './output-formats.ts';
import { parseSince, type Since } from './parse-time.ts';
import type { ReplyTarget } from './reply-targets.ts';

export class ChatPrinter {
  readonly #session: CommandSession;
  readonly #roomId: string;
  readonly #isJson: boolean;
  readonly #since: Since | undefined;
  readonly #cursorFile: CursorFile | undefined;

  constructor(session: CommandSession, args: Arguments, roomId: string) {
    this.#session = session;
    this.#roomId = roomId;
    this.#isJson = args.has('json');
    const since = args.get('since');
    const path = args.get('mark');
    if (path !== undefined && since !== undefined && since !== 'mark') throw new UsageError('--mark FILE goes with --since mark');
    this.#since = path !== undefined ? { kind: 'mark' } : since === undefined ? undefined : parseSince(since);
    if (this.#since?.kind === 'mark') this.#cursorFile = this.#openCursorFile(path);
  }

  /** Where to start, by the command line. */
  get startPosition(): FollowOptions['from'] | undefined {
    if (this.#since?.kind !== 'mark') return this.#since;
    return this.#cursorFile?.position ?? { kind: 'seq', seq: 0 };
  }

  async print(followed: FollowedEntry): Promise<void> {
    const line = followed.chat
      ? this.#formatChat({ ...followed, replyTarget: await followed.target() })
      : this.#formatEntry(followed.entry);
    if (line !== undefined) this.#session.output.writeLine(line, () => this.#cursorFile?.advance(followed.position));
  }

  #formatChat({
    chat,
    position: { epoch },
    replyTarget,
  }: {
    chat: Chat;
    position: Position;
    replyTarget: ReplyTarget | undefined;
  }): string {
    return this.#isJson ? toJsonLine(toChatRecord(chat, { room: this.#roomId, epoch, replyTarget })) : formatChat(chat, replyTarget);
  }

  #formatEntry(entry: MissedEntry): string | undefined {
    return this.#isJson ? toJsonLine(toEntryRecord(entry)) : formatEntry(entry);
  }

  #openCursorFile(path: string | undefined): CursorFile {
    const session = this.#session;
    const cursorPath = path ?? session.profile.cursorPath(this.#roomId);
    if (cursorPath === undefined) throw new CliError('the mark cannot be saved; name a file with --mark FILE');
    const cursorFile = new CursorFile(cursorPath, { server: session.profile.server, room: this.#roomId }, (failure) =>
      session.fail(failure),
    );
    session.addCleanup(() => cursorFile.flush());
    return cursorFile;
  }
}
