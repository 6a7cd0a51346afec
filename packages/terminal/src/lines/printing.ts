import type { Chat, Missed, Position } from '@engawa/client';
import { Failure } from '../failure.ts';
import { type Arguments, UsageError } from '../subcommand.ts';
import type { FollowOptions, Told } from './follow.ts';
import { chatLine, chatRecord, entryLine, entryRecord, jsonLine } from './formats.ts';
import { Mark } from './mark.ts';
import type { Program } from './program.ts';
import type { ReplyTarget } from './reply-targets.ts';
import { type Since, sinceOf } from './times.ts';

/** Prints entries of a room, and moves the mark, if there is one, once they were taken. */
export class Printer {
  readonly #program: Program;
  readonly #roomId: string;
  readonly #isJson: boolean;
  readonly #since: Since | undefined;
  readonly #mark: Mark | undefined;

  constructor(program: Program, asked: Arguments, roomId: string) {
    this.#program = program;
    this.#roomId = roomId;
    this.#isJson = asked.has('json');
    const since = asked.get('since');
    const path = asked.get('mark');
    if (path !== undefined && since !== undefined && since !== 'mark') throw new UsageError('--mark FILE goes with --since mark');
    this.#since = path !== undefined ? { kind: 'mark' } : since === undefined ? undefined : sinceOf(since);
    if (this.#since?.kind === 'mark') this.#mark = this.#openMark(path);
  }

  /** Where the command line says to begin. */
  get from(): FollowOptions['from'] | undefined {
    if (this.#since?.kind !== 'mark') return this.#since;
    return this.#mark?.position ?? { kind: 'seq', seq: 0 };
  }

  async print(told: Told): Promise<void> {
    const line = told.chat ? this.#chat({ ...told, replyTarget: await told.target() }) : this.#entry(told.entry);
    if (line !== undefined) this.#program.out.put(line, () => this.#mark?.move(told.position));
  }

  #chat({ chat, position: { epoch }, replyTarget }: { chat: Chat; position: Position; replyTarget: ReplyTarget | undefined }): string {
    return this.#isJson ? jsonLine(chatRecord(chat, { room: this.#roomId, epoch, replyTarget })) : chatLine(chat, replyTarget);
  }

  #entry(entry: Missed): string | undefined {
    return this.#isJson ? jsonLine(entryRecord(entry)) : entryLine(entry);
  }

  #openMark(given: string | undefined): Mark {
    const program = this.#program;
    const path = given ?? program.profile.markFile(this.#roomId);
    if (path === undefined) throw new Failure('no mark can be kept there; name a file by --mark FILE');
    const mark = new Mark(path, { server: program.profile.server, room: this.#roomId }, (failure) => program.fail(failure));
    program.atEnd(() => mark.flush());
    return mark;
  }
}
