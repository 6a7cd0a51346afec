import { constants } from 'node:os';
import { type Client, connect, JoinError, type JoinOptions, type Room } from '@engawa/client';
import { Failure } from '../failure.ts';
import { openProfile, type Profile } from '../profile/profile.ts';
import { type Arguments, UsageError } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { warn } from '../warn.ts';
import { ChatRate } from './chat-rate.ts';
import { Outlet } from './outlet.ts';
import { pooledRandom } from './pooled-random.ts';
import { Questions } from './questions.ts';
import { durationOf } from './times.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** After that a connection is said to be missing. */
const NOTE_MS = 1_000;
const LEAVE_MS = 3_000;
/** What is kept in memory of a room: nobody looks at it. */
const MAX_CHATS = 100;

interface ProgramOptions {
  /** How long it does without a connection, when the command line does not say; 0 is for ever. */
  connectMs: number;
  /** Whether it joins a room, and so cannot do without a name; it does when that is not said. */
  needsName?: boolean;
}

/** One run of a subcommand on a server: who asks, what ends it before it is done, and what it says meanwhile. */
export class Program {
  readonly profile: Profile;
  readonly out: Outlet;
  readonly questions = new Questions();
  readonly chatRate = new ChatRate();
  readonly #stderr: NodeJS.WriteStream;
  readonly #isQuiet: boolean;
  readonly #connectMs: number;
  #client: Client | undefined;
  #room: Room | undefined;
  #unconnected: NodeJS.Timeout | undefined;
  #noted: NodeJS.Timeout | undefined;
  #isLost = false;
  #exitCode = 0;
  #isStopping = false;
  #stopping: () => Promise<void> = () => Promise.resolve();
  readonly #atEnd: (() => void)[] = [];
  /** Why the server would not have the connection. */
  #refusal = '';
  /** Why there is none, and what of that was told. */
  #reason = '';
  #toldReason = '';
  #end: (failure: Failure) => void = () => undefined;
  /** Rejects when it is over before it is done. */
  readonly #over: Promise<never> = new Promise((_, reject) => {
    this.#end = reject;
  });

  private constructor(asked: Arguments, { stdout, stderr, env }: Surroundings, { connectMs, needsName }: ProgramOptions) {
    const [as, server, profile] = [asked.get('as'), asked.get('server'), asked.get('profile')];
    this.profile = openProfile({ as, server, profile, ...(needsName !== undefined && { needsName }) }, env);
    this.out = new Outlet(stdout);
    this.#stderr = stderr;
    this.#isQuiet = asked.has('quiet');
    const given = asked.get('connect-timeout');
    this.#connectMs = given === undefined ? connectMs : durationOf(given, '--connect-timeout');
    this.#over.catch(() => undefined);
    this.out.broken.catch((failure: Failure) => this.#end(failure));
    // Whoever has closed it does not want to hear.
    stderr.on('error', () => undefined);
    for (const notice of this.profile.notices) this.note(notice);
    for (const signal of SIGNALS) process.on(signal, this.#stop);
  }

  /** Runs `main`, and ends the connection whatever comes of it. */
  static async run(
    asked: Arguments,
    surroundings: Surroundings,
    { main, ...options }: ProgramOptions & { main: (program: Program) => Promise<void> },
  ): Promise<number> {
    const program = new Program(asked, surroundings, options);
    try {
      await program.unlessOver(main(program));
      await program.unlessOver(program.out.drained());
    } catch (error) {
      await program.#finish();
      if (error instanceof Stopped) await endedBy(error.signal);
      throw error;
    }
    await program.#finish();
    return program.#exitCode;
  }

  /** Called whatever ends the program. */
  atEnd(act: () => void): void {
    this.#atEnd.push(act);
  }

  /** Goes on, but something failed. */
  failLater(text: string): void {
    this.warn(text);
    this.#exitCode = 1;
  }

  /** Says something to people, of the connection or of what they asked for. */
  note(text: string): void {
    if (!this.#isQuiet) this.warn(text);
  }

  warn(text: string): void {
    warn(this.#stderr, text);
  }

  /** What the work comes to, unless the program has to end before. */
  unlessOver<Value>(work: Promise<Value>): Promise<Value> {
    return Promise.race([work, this.#over]);
  }

  /** Ends it: also what is being waited for. */
  fail(failure: Failure): void {
    this.#end(failure);
  }

  connect(): Client {
    const { server, session } = this.profile;
    const link = this.chatRate.over(this.questions.link);
    const client = connect(server, { storage: session, maxChats: MAX_CHATS, link, random: pooledRandom() });
    this.#client = client;
    this.questions.over(client);
    this.#watchConnection(true);
    client.on('state', (state) => {
      if (client !== this.#client) return;
      if (state === 'online') this.#found();
      if (state === 'reconnecting') this.#watchConnection(true);
      if (state === 'closed' && this.#refusal !== '') this.fail(new Failure(this.#refusal));
    });
    client.on('error', ({ code, message, retryable, address }) => {
      if (address !== undefined && retryable) this.#trouble(message);
      else if (!retryable) this.#refusal = message;
      // Nothing but the session is kept there, and it still is in memory.
      else if (code === 'storage_failed') this.note(message);
      else this.#lose(`${message} Trying again.`);
    });
    return client;
  }

  /** Joins the room that the program is about. */
  async join(roomId: string, options: Omit<JoinOptions, 'username'>): Promise<Room> {
    try {
      const client = this.connect();
      const room = await this.unlessOver(client.join(roomId, { username: this.profile.username, ...options }));
      this.#room = room;
      room.on('ended', ({ reason, by, error }) => {
        if (reason === 'left' || reason === 'closed') return;
        const why = error?.message ?? (reason === 'removed' ? `${by ?? 'somebody'} removed you` : 'the room was deleted');
        this.fail(new Failure(`${roomId}: ${why}`));
      });
      return room;
    } catch (error) {
      if (error instanceof JoinError) throw new Failure(`${roomId}: ${this.#refusal || error.message}`, 1, { cause: error });
      throw error;
    }
  }

  /** What there is to do before a signal ends it. */
  onStop(act: () => Promise<void>): void {
    this.#stopping = act;
  }

  /** Leaves the room, unless another program of the profile is there, and ends the connection. */
  async #finish(): Promise<void> {
    const client = this.#client;
    const room = this.#room;
    this.#watchConnection(false);
    for (const act of this.#atEnd) act();
    if (client?.state === 'online' && room && !room.ending && this.profile.isAlone(room.id)) {
      const late = setTimeout(() => void client.close(), LEAVE_MS);
      await room.leave();
      clearTimeout(late);
    }
    await client?.close();
    for (const signal of SIGNALS) process.off(signal, this.#stop);
  }

  #found(): void {
    this.#watchConnection(false);
    if (this.#isLost) this.note('connected');
    this.#isLost = false;
  }

  #lose(why: string): void {
    if (!this.#isLost) this.note(why);
    this.#isLost = true;
    this.#tellReason();
  }

  /** Why there is no connection is told once that is told itself. */
  #trouble(reason: string): void {
    this.#reason = reason;
    if (this.#isLost || this.#client?.state === 'online') this.#tellReason();
  }

  #tellReason(): void {
    if (this.#reason !== this.#toldReason) this.note(this.#reason);
    this.#toldReason = this.#reason;
  }

  #watchConnection(isMissing: boolean): void {
    clearTimeout(this.#noted);
    clearTimeout(this.#unconnected);
    if (!isMissing) return;
    const { server } = this.profile;
    this.#noted = setTimeout(() => this.#lose(`no connection to ${server}; trying again`), NOTE_MS);
    // Whatever was told of an earlier loss.
    this.#reason = '';
    this.#toldReason = '';
    const failure = () => new Failure(`no connection to ${this.#reason || server}`, 3);
    if (this.#connectMs > 0) this.#unconnected = setTimeout(() => this.fail(failure()), this.#connectMs);
  }

  /** The second signal ends the process at once, whatever it is in the middle of. */
  readonly #stop = (signal: NodeJS.Signals): void => {
    if (this.#isStopping) void endedBy(signal);
    this.#isStopping = true;
    void this.#stopping().finally(() => this.fail(new Stopped(signal)));
  };
}

/** Told by a signal to end. */
class Stopped extends Failure {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super('', 128 + constants.signals[signal]);
    this.signal = signal;
  }
}

/** As if the signal had not been caught: so whoever started the program sees what ended it, and nothing that still waits keeps it. */
async function endedBy(signal: NodeJS.Signals): Promise<void> {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
}

/** The one word that says which room. */
export function roomIn({ words }: Arguments): string {
  const [room = '', ...rest] = words;
  if (room === '') throw new UsageError('which room?');
  if (rest.length > 0) throw new UsageError(`one room, not ${words.length}`);
  return room;
}
