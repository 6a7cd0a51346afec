// The `engawa send` command: sends its arguments or standard input as chats.
import type { OutgoingChat, Room } from '@engawa/client';
import { CHAT_TEXT } from '@engawa/protocol/text';
import { CliError } from '../command-line/cli-error.ts';
import type { ProcessIO } from '../command-line/process-io.ts';
import { type Arguments, UsageError } from '../command-line/subcommand.ts';
import { rateLimitMessage } from './chat-rate.ts';
import { CommandSession } from './command-session.ts';
import { type LinePart, LineSplitter, splitText } from './line-splitter.ts';
import { toJsonLine } from './output-formats.ts';
import { countStdinLines } from './stdin-lines.ts';

/** The limit of a chat, as text. */
const CHAT_LIMIT_TEXT = `${CHAT_TEXT.codePoints.toLocaleString('en')} characters, or ${CHAT_TEXT.bytes.toLocaleString('en')} bytes as JSON`;
/** Two packets: the next one is read while one is in flight. */
const MAX_IN_FLIGHT_CHATS = 200;
/** Half of the capacity of an outbox. */
const MAX_IN_FLIGHT_BYTES = 512 * 1024;
/** Largest JSON size of one UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 6;
/** Limit of standard input that becomes one chat. */
const MAX_MESSAGE_UNITS = 1024 * 1024;
/** Deadline for chats in flight after a signal. */
const STOP_TIMEOUT_MS = 5_000;

/** Runs `engawa send`. Resolves with the exit code when the server has acknowledged or refused every chat. */
export async function send(args: Arguments, io: ProcessIO): Promise<number> {
  const [roomId, ...texts] = args.positionals;
  if (roomId === undefined || roomId === '') throw new UsageError('which room?');
  if (texts.length > 0 && args.has('message')) throw new UsageError('--message sends standard input and cannot be used with TEXT');
  try {
    return await CommandSession.run(args, io, {
      connectTimeoutMs: 0,
      async main(session) {
        const sender = new Sender(session, { isJson: args.has('json'), canSplit: !args.has('no-split') });
        const room = await session.join(roomId, { from: 'newest', create: args.has('create') });
        const { stdin } = io;
        session.chatRate.onRateLimited(async (rate) =>
          session.info(rateLimitMessage(rate, await sender.countRemaining(() => countStdinLines(stdin)))),
        );
        const pieces = texts.length > 0 ? splitIntoParts(texts.join(' ')) : readParts(stdin, args.has('message'));
        await sender.sendAll(room, pieces);
      },
    });
  } finally {
    // An open stream would keep the process alive.
    io.stdin.destroy();
  }
}

async function* readParts(stdin: NodeJS.ReadStream, isSingleChat: boolean): AsyncGenerator<LinePart> {
  stdin.setEncoding('utf8');
  const splitter = new LineSplitter(CHAT_TEXT);
  let whole = '';
  for await (const chunk of stdin as AsyncIterable<string>) {
    if (!isSingleChat) yield* splitter.push(chunk);
    else whole += chunk;
    if (whole.length > MAX_MESSAGE_UNITS) throw new CliError('the standard input is too long for one chat');
  }
  yield* isSingleChat ? splitIntoParts(whole.replace(/(\r?\n)+$/, '')) : splitter.flush();
}

function* splitIntoParts(text: string): Generator<LinePart> {
  const pieces = splitText(text, CHAT_TEXT);
  for (const [part, piece] of pieces.entries()) yield { line: 1, text: piece, part, isSplit: pieces.length > 1 };
}

/** Upper bound of the JSON size. */
const maxJsonBytes = ({ text }: LinePart): number => Math.min(MAX_BYTES_PER_UNIT * text.length, CHAT_TEXT.bytes);

class Sender {
  readonly #session: CommandSession;
  readonly #isJson: boolean;
  readonly #canSplit: boolean;
  #inFlight: Promise<void>[] = [];
  #unacknowledged = 0;
  /** The last line that was read, and whether the input has ended. */
  #lastLine = 0;
  #isInputRead = false;
  #inFlightBytes = 0;
  #isStopping = false;
  #resolveStopped: () => void = () => undefined;

  constructor(session: CommandSession, { isJson, canSplit }: { isJson: boolean; canSplit: boolean }) {
    this.#session = session;
    this.#isJson = isJson;
    this.#canSplit = canSplit;
    session.onStop(() => this.#stop());
  }

  async sendAll(room: Room, pieces: Iterable<LinePart> | AsyncIterable<LinePart>): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#resolveStopped = resolve;
    });
    for await (const piece of pieces) {
      if (this.#isStopping) return stopped;
      this.#lastLine = piece.line;
      if (piece.text.trim() === '' || !this.#accepts(piece)) continue;
      this.#unacknowledged += 1;
      this.#inFlightBytes += maxJsonBytes(piece);
      this.#inFlight.push(this.#waitForAck(room, piece, room.send(piece.text)));
      while (this.#inFlight.length >= MAX_IN_FLIGHT_CHATS || this.#inFlightBytes > MAX_IN_FLIGHT_BYTES) await this.#inFlight.shift();
    }
    this.#isInputRead = true;
    await Promise.all(this.#inFlight);
  }

  /** Lines without an acknowledgement. `count` counts the lines of the input, if that is possible. */
  async countRemaining(count: () => Promise<number | undefined>): Promise<number | undefined> {
    const all = this.#isInputRead ? this.#lastLine : await count();
    return all === undefined ? undefined : this.#unacknowledged + Math.max(0, all - this.#lastLine);
  }

  #accepts({ line, part, isSplit }: LinePart): boolean {
    if (!isSplit) return true;
    const what = `line ${line} has more than ${CHAT_LIMIT_TEXT}`;
    if (part === 0 && this.#canSplit) this.#session.info(`${what}: it becomes several chats`);
    if (part === 0 && !this.#canSplit) this.#session.reportFailure(`${what}: not sent`);
    return this.#canSplit;
  }

  async #waitForAck(room: Room, piece: LinePart, chat: OutgoingChat): Promise<void> {
    const { line } = piece;
    const answer = await chat.settled;
    this.#inFlightBytes -= maxJsonBytes(piece);
    // What closed the room reports the reason.
    if (!answer.ok && answer.error.code === 'closed') return;
    this.#unacknowledged -= 1;
    if (!answer.ok) this.#session.reportFailure(`line ${line} was not sent: ${answer.error.message}`);
    else if (this.#isJson) {
      this.#session.output.writeLine(toJsonLine({ room: room.id, line, seq: answer.seq, clientId: chat.clientId }));
      await this.#session.output.waitForDrain(MAX_IN_FLIGHT_CHATS);
    }
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([Promise.all(this.#inFlight), new Promise((resolve) => (timer = setTimeout(resolve, STOP_TIMEOUT_MS)))]);
    clearTimeout(timer);
    if (this.#unacknowledged > 0) this.#session.warn(`${this.#unacknowledged} were not acknowledged; they may or may not have been stored`);
    this.#resolveStopped();
  }
}
