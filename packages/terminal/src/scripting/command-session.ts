// One run of a scripting command: connection, signals, timeouts, warnings and exit code.
import { constants } from 'node:os';
import { type Client, connect, JoinError, type JoinOptions, type Room } from '@engawa/client';
import { CliError } from '../command-line/cli-error.ts';
import type { ProcessIO } from '../command-line/process-io.ts';
import { type Arguments, UsageError } from '../command-line/subcommand.ts';
import { warn } from '../command-line/warn.ts';
import { openProfile, type Profile } from '../profile/profile.ts';
import { BackpressuredOutput } from './backpressured-output.ts';
import { ChatRateMonitor } from './chat-rate.ts';
import { parseDuration } from './parse-time.ts';
import { QueryClient } from './query-client.ts';
import { createRandomPool } from './random-pool.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A missing connection is reported after this time. */
const DISCONNECT_NOTE_DELAY_MS = 1_000;
const LEAVE_TIMEOUT_MS = 3_000;
/** Small, because nothing reads the cached chats of a room. */
const MAX_CACHED_CHATS = 100;

interface SessionOptions {
  /** Time without a connection before the command gives up, unless the command line sets it. 0 means no limit. */
  connectTimeoutMs: number;
  /** Whether the command joins a room, and so needs a username. */
  needsName?: boolean;
}

export class CommandSession {
  readonly profile: Profile;
  readonly output: BackpressuredOutput;
  readonly queries = new QueryClient();
  readonly chatRate = new ChatRateMonitor();
  readonly #stderr: NodeJS.WriteStream;
  readonly #isQuiet: boolean;
  readonly #connectTimeoutMs: number;
  #client: Client | undefined;
  #room: Room | undefined;
  #connectTimeout: NodeJS.Timeout | undefined;
  #disconnectNoteTimer: NodeJS.Timeout | undefined;
  #isLost = false;
  #exitCode = 0;
  #isStopping = false;
  #beforeStop: () => Promise<void> = () => Promise.resolve();
  readonly #cleanups: (() => void)[] = [];
  /** Why the server refused the connection. */
  #refusalText = '';
  /** Why there is no connection, and the last reason that was reported. */
  #disconnectReason = '';
  #notedReason = '';
  #abort: (failure: CliError) => void = () => undefined;
  /** Rejects when the command must end early. */
  readonly #aborted: Promise<never> = new Promise((_, reject) => {
    this.#abort = reject;
  });

  private constructor(args: Arguments, { stdout, stderr, env }: ProcessIO, { connectTimeoutMs, needsName }: SessionOptions) {
    const [as, server, profile] = [args.get('as'), args.get('server'), args.get('profile')];
    this.profile = openProfile({ as, server, profile, ...(needsName !== undefined && { needsName }) }, env);
    this.output = new BackpressuredOutput(stdout);
    this.#stderr = stderr;
    this.#isQuiet = args.has('quiet');
    const timeoutText = args.get('connect-timeout');
    this.#connectTimeoutMs = timeoutText === undefined ? connectTimeoutMs : parseDuration(timeoutText, '--connect-timeout');
    this.#aborted.catch(() => undefined);
    this.output.broken.catch((failure: CliError) => this.#abort(failure));
    // The reader of standard error has ended: a warning has no reader.
    stderr.on('error', () => undefined);
    for (const notice of this.profile.notices) this.info(notice);
    for (const signal of SIGNALS) process.on(signal, this.#stop);
  }

  /** Runs `main` and always closes the connection. */
  static async run(
    args: Arguments,
    io: ProcessIO,
    { main, ...options }: SessionOptions & { main: (session: CommandSession) => Promise<void> },
  ): Promise<number> {
    const session = new CommandSession(args, io, options);
    try {
      await session.unlessAborted(main(session));
      await session.unlessAborted(session.output.waitForDrain());
    } catch (error) {
      await session.#finish();
      if (error instanceof StoppedBySignal) await endBySignal(error.signal);
      throw error;
    }
    await session.#finish();
    return session.#exitCode;
  }

  /** `cleanup` is called at the end, however the command ends. */
  addCleanup(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  /** Prints an error and continues; the exit code becomes 1. */
  reportFailure(text: string): void {
    this.warn(text);
    this.#exitCode = 1;
  }

  /** Prints a message unless `--quiet` is set. */
  info(text: string): void {
    if (!this.#isQuiet) this.warn(text);
  }

  warn(text: string): void {
    warn(this.#stderr, text);
  }

  /** Settles with the work, or rejects if the command must end first. */
  unlessAborted<Value>(work: Promise<Value>): Promise<Value> {
    return Promise.race([work, this.#aborted]);
  }

  /** Ends the command early, and rejects everything that waits. */
  fail(failure: CliError): void {
    this.#abort(failure);
  }

  connect(): Client {
    const { server, session } = this.profile;
    const createTransport = this.chatRate.wrapTransport(this.queries.createTransport);
    const client = connect(server, { storage: session, maxChats: MAX_CACHED_CHATS, createTransport, random: createRandomPool() });
    this.#client = client;
    this.queries.attach(client);
    this.#watchConnection(true);
    client.on('state', (state) => {
      if (client !== this.#client) return;
      if (state === 'online') this.#onConnected();
      if (state === 'reconnecting') this.#watchConnection(true);
      if (state === 'closed' && this.#refusalText !== '') this.fail(new CliError(this.#refusalText));
    });
    client.on('error', ({ code, message, retryable, address }) => {
      if (address !== undefined && retryable) this.#onConnectionError(message);
      else if (!retryable) this.#refusalText = message;
      // The storage holds only the session, which is also in memory.
      else if (code === 'storage_failed') this.info(message);
      else this.#onConnectionLost(`${message} Trying again.`);
    });
    return client;
  }

  /** Joins the room of the command. */
  async join(roomId: string, options: Omit<JoinOptions, 'username'>): Promise<Room> {
    try {
      const client = this.connect();
      const room = await this.unlessAborted(client.join(roomId, { username: this.profile.username, ...options }));
      this.#room = room;
      room.on('ended', ({ reason, by, error }) => {
        if (reason === 'left' || reason === 'closed') return;
        const why = error?.message ?? (reason === 'removed' ? `${by ?? 'the owner'} removed you` : 'the room was deleted');
        this.fail(new CliError(`${roomId}: ${why}`));
      });
      return room;
    } catch (error) {
      if (error instanceof JoinError) throw new CliError(`${roomId}: ${this.#refusalText || error.message}`, 1, { cause: error });
      throw error;
    }
  }

  /** Work to do after a signal, before the end. */
  onStop(beforeStop: () => Promise<void>): void {
    this.#beforeStop = beforeStop;
  }

  /** Leaves the room, unless another process of the profile is in it, and closes the connection. */
  async #finish(): Promise<void> {
    const client = this.#client;
    const room = this.#room;
    this.#watchConnection(false);
    for (const cleanup of this.#cleanups) cleanup();
    if (client?.state === 'online' && room && !room.ending && this.profile.isOnlyProcess(room.id)) {
      const timer = setTimeout(() => void client.close(), LEAVE_TIMEOUT_MS);
      await room.leave();
      clearTimeout(timer);
    }
    await client?.close();
    for (const signal of SIGNALS) process.off(signal, this.#stop);
  }

  #onConnected(): void {
    this.#watchConnection(false);
    if (this.#isLost) this.info('connected');
    this.#isLost = false;
  }

  #onConnectionLost(reason: string): void {
    if (!this.#isLost) this.info(reason);
    this.#isLost = true;
    this.#noteReason();
  }

  /** The reason is reported once, after the loss of the connection itself was reported. */
  #onConnectionError(reason: string): void {
    this.#disconnectReason = reason;
    if (this.#isLost || this.#client?.state === 'online') this.#noteReason();
  }

  #noteReason(): void {
    if (this.#disconnectReason !== this.#notedReason) this.info(this.#disconnectReason);
    this.#notedReason = this.#disconnectReason;
  }

  #watchConnection(isMissing: boolean): void {
    clearTimeout(this.#disconnectNoteTimer);
    clearTimeout(this.#connectTimeout);
    if (!isMissing) return;
    const { server } = this.profile;
    this.#disconnectNoteTimer = setTimeout(
      () => this.#onConnectionLost(`no connection to ${server}; trying again`),
      DISCONNECT_NOTE_DELAY_MS,
    );
    // The next loss is reported anew.
    this.#disconnectReason = '';
    this.#notedReason = '';
    const failure = () => new CliError(`no connection to ${this.#disconnectReason || server}`, 3);
    if (this.#connectTimeoutMs > 0) this.#connectTimeout = setTimeout(() => this.fail(failure()), this.#connectTimeoutMs);
  }

  /** A second signal ends the process at once. */
  readonly #stop = (signal: NodeJS.Signals): void => {
    if (this.#isStopping) void endBySignal(signal);
    this.#isStopping = true;
    void this.#beforeStop().finally(() => this.fail(new StoppedBySignal(signal)));
  };
}

/** A signal ended the command. */
class StoppedBySignal extends CliError {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super('', 128 + constants.signals[signal]);
    this.signal = signal;
  }
}

/** Ends as if the signal had not been caught: the parent process sees the signal, and pending work does not delay the end. */
async function endBySignal(signal: NodeJS.Signals): Promise<void> {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  await new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT_MS));
}

/** The single argument: the room. */
export function roomArgument({ positionals }: Arguments): string {
  const [room = '', ...rest] = positionals;
  if (room === '') throw new UsageError('which room?');
  if (rest.length > 0) throw new UsageError(`one room, not ${positionals.length}`);
  return room;
}
