import type { OutgoingChat, Room } from '@engawa/client';
import { CHAT_TEXT } from '@engawa/protocol/text';
import { Failure } from '../failure.ts';
import { type Arguments, UsageError } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { slowed } from './chat-rate.ts';
import { jsonLine } from './formats.ts';
import { type Piece, Pieces, piecesOf } from './pieces.ts';
import { Program } from './program.ts';
import { linesOfStdin } from './stdin-lines.ts';

/** Of a chat, in words. */
const LONGEST = `${CHAT_TEXT.codePoints.toLocaleString('en')} characters, or ${CHAT_TEXT.bytes.toLocaleString('en')} bytes as JSON`;
/** Two packets: while one is on its way the next one is read. */
const WAITING_CHATS = 200;
/** Half of what an outbox holds. */
const WAITING_BYTES = 512 * 1024;
/** Of a character of JavaScript as JSON. */
const CHARACTER_BYTES = 6;
/** Of a standard input that is to be one chat. */
const MOST_CHARACTERS = 1024 * 1024;
/** How long a signal leaves to what is on its way. */
const STOPPING_MS = 5_000;

/** `engawa send`: resolves with the exit code, when the server has kept, or refused, all of it. */
export async function send(asked: Arguments, surroundings: Surroundings): Promise<number> {
  const [roomId, ...words] = asked.words;
  if (roomId === undefined || roomId === '') throw new UsageError('which room?');
  if (words.length > 0 && asked.has('message')) throw new UsageError('--message is for the standard input; there is TEXT, too');
  try {
    return await Program.run(asked, surroundings, {
      connectMs: 0,
      async main(program) {
        const sender = new Sender(program, { isJson: asked.has('json'), maySplit: !asked.has('no-split') });
        const room = await program.join(roomId, { from: 'newest', create: asked.has('create') });
        const { stdin } = surroundings;
        program.chatRate.onSlowed(async (rate) => program.note(slowed(rate, await sender.toGo(() => linesOfStdin(stdin)))));
        const pieces = words.length > 0 ? inPieces(words.join(' ')) : piecesIn(stdin, asked.has('message'));
        await sender.sendAll(room, pieces);
      },
    });
  } finally {
    // It would be waited for.
    surroundings.stdin.destroy();
  }
}

async function* piecesIn(stdin: NodeJS.ReadStream, isOne: boolean): AsyncGenerator<Piece> {
  stdin.setEncoding('utf8');
  const pieces = new Pieces(CHAT_TEXT);
  let whole = '';
  for await (const chunk of stdin as AsyncIterable<string>) {
    if (!isOne) yield* pieces.take(chunk);
    else whole += chunk;
    if (whole.length > MOST_CHARACTERS) throw new Failure('the standard input is too long for one chat');
  }
  yield* isOne ? inPieces(whole.replace(/(\r?\n)+$/, '')) : pieces.end();
}

function* inPieces(text: string): Generator<Piece> {
  const pieces = piecesOf(text, CHAT_TEXT);
  for (const [part, piece] of pieces.entries()) yield { line: 1, text: piece, part, isLong: pieces.length > 1 };
}

/** At most. */
const bytesOf = ({ text }: Piece): number => Math.min(CHARACTER_BYTES * text.length, CHAT_TEXT.bytes);

class Sender {
  readonly #program: Program;
  readonly #isJson: boolean;
  readonly #maySplit: boolean;
  #onTheWay: Promise<void>[] = [];
  #unsettled = 0;
  /** The newest that was read, and whether there are no more. */
  #line = 0;
  #isRead = false;
  #bytes = 0;
  #isStopping = false;
  #stopped: () => void = () => undefined;

  constructor(program: Program, { isJson, maySplit }: { isJson: boolean; maySplit: boolean }) {
    this.#program = program;
    this.#isJson = isJson;
    this.#maySplit = maySplit;
    program.onStop(() => this.#stop());
  }

  async sendAll(room: Room, pieces: Iterable<Piece> | AsyncIterable<Piece>): Promise<void> {
    const stopping = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    for await (const piece of pieces) {
      if (this.#isStopping) return stopping;
      this.#line = piece.line;
      if (piece.text.trim() === '' || !this.#takes(piece)) continue;
      this.#unsettled += 1;
      this.#bytes += bytesOf(piece);
      this.#onTheWay.push(this.#settled(room, piece, room.send(piece.text)));
      while (this.#onTheWay.length >= WAITING_CHATS || this.#bytes > WAITING_BYTES) await this.#onTheWay.shift();
    }
    this.#isRead = true;
    await Promise.all(this.#onTheWay);
  }

  /** Lines that the server has not kept yet; `count` says how many there are to read, if that can be known. */
  async toGo(count: () => Promise<number | undefined>): Promise<number | undefined> {
    const all = this.#isRead ? this.#line : await count();
    return all === undefined ? undefined : this.#unsettled + Math.max(0, all - this.#line);
  }

  #takes({ line, part, isLong }: Piece): boolean {
    if (!isLong) return true;
    const what = `line ${line} has more than ${LONGEST}`;
    if (part === 0 && this.#maySplit) this.#program.note(`${what}: it becomes several chats`);
    if (part === 0 && !this.#maySplit) this.#program.failLater(`${what}: not sent`);
    return this.#maySplit;
  }

  async #settled(room: Room, piece: Piece, chat: OutgoingChat): Promise<void> {
    const { line } = piece;
    const answer = await chat.settled;
    this.#bytes -= bytesOf(piece);
    // Whoever closed the room says why.
    if (!answer.ok && answer.error.code === 'closed') return;
    this.#unsettled -= 1;
    if (!answer.ok) this.#program.failLater(`line ${line} was not sent: ${answer.error.message}`);
    else if (this.#isJson) {
      this.#program.out.put(jsonLine({ room: room.id, line, seq: answer.seq, clientId: chat.clientId }));
      await this.#program.out.drained(WAITING_CHATS);
    }
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    let late: NodeJS.Timeout | undefined;
    await Promise.race([Promise.all(this.#onTheWay), new Promise((resolve) => (late = setTimeout(resolve, STOPPING_MS)))]);
    clearTimeout(late);
    if (this.#unsettled > 0) this.#program.warn(`${this.#unsettled} were not acknowledged; they may or may not have been kept`);
    this.#stopped();
  }
}
