// The terminal client: its start, how soon a key is seen, its memory, and `engawa send` from a pipe.
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEmbedded } from '@engawa/server';
import { runConcurrently } from '../generator/run-concurrently.ts';
import { connectTo, type SocketIoClient } from '../generator/socketio-client.ts';
import { seedRoom } from '../harness/seed-room.ts';
import { ENGAWA, start } from '../harness/server-kinds.ts';
import { ENGAWA_COMMAND } from '../harness/server-process.ts';
import { spawnChild, withTempFolder } from '../processes/child-processes.ts';
import { cpuUsage, residentBytes } from '../profiling/process-usage.ts';
import { median, percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';
import { type Command, PtyWindow } from '../terminals/pty-window.ts';

const FULL = { starts: 5, keys: 100, large: 1_000_000, chats: 100_000, lines: 20_000 };
const QUICK = { starts: 2, keys: 20, large: 20_000, chats: 2_000, lines: 1_000 };
const SMALL = 100;
const ROOM = 'veranda';
/** Short enough for one row. */
const TEXT_BYTES = 40;
const KEY_INTERVAL_MS = 50;
const BURST_MS = 10;
const BUSY_PER_SECOND = 1_000;
/** Chats in flight where as many as possible are sent. */
const CONCURRENCY = 100;
const SETTLE_MS = 2_000;
/** Letters that no chat has, so that they are on the screen only where they were typed. */
const LETTERS = 'qwertyuiop';
const CLEAR_LINE = '\x15';

const NOTE = [
  'A terminal of 100 × 30, whose screen a model reads. Start: from the start of the process until the newest chat of a room is on the screen. Echo: from a key until it is on the screen, without chats and with',
  `${BUSY_PER_SECOND.toLocaleString('en-US')} chats a second, and the CPU of the client meanwhile, in cores. Resident: VmRSS before and after chats of ${TEXT_BYTES} bytes. Send: lines of a pipe, until \`engawa send\` ends. On any core.`,
].join(' ');

export const terminal: Scenario = {
  name: 'terminal',
  async run(bench) {
    const sizes = bench.quick ? QUICK : FULL;
    const small = await withRoom(bench, SMALL, (room) => measureClient(bench, room));
    const large = await withRoom(bench, sizes.large, async (room) => median(await startsOf(room, sizes.starts)));
    const linesPerSecond = await withRoom(bench, SMALL, (room) => measureSend(room, sizes.lines));
    const echo = (times: number[]): [number, number] => [median(times), percentile(times, 0.99)];
    return [
      {
        title: 'In the terminal',
        note: `${NOTE} Medians of ${sizes.starts} starts; ${sizes.keys} keys.`,
        columns: [{ name: 'what' }, { name: 'median, or value' }, { name: 'p99' }, { name: 'unit' }],
        rows: [
          [`start, a room of ${SMALL}`, median(small.starts), '–', 'ms'],
          [`start, a room of ${sizes.large.toLocaleString('en-US')}`, large, '–', 'ms'],
          ['echo', ...echo(small.calm), 'ms'],
          [`echo at ${BUSY_PER_SECOND.toLocaleString('en-US')} chats/s`, ...echo(small.busy), 'ms'],
          [`CPU at ${BUSY_PER_SECOND.toLocaleString('en-US')} chats/s`, small.cpu, '–', 'cores'],
          ['resident', small.before / 2 ** 20, '–', 'MiB'],
          [`resident after ${sizes.chats.toLocaleString('en-US')} chats`, small.after / 2 ** 20, '–', 'MiB'],
          ['`engawa send` from a pipe', Math.round(linesPerSecond), '–', 'lines/s'],
        ],
      },
    ];
  },
};

/** A room with another member that sends. */
interface TestRoom {
  newest: string;
  sender: SocketIoClient;
  /** A command line of the terminal client, each time with a new profile. */
  command: (subcommand: string, ...args: string[]) => Command;
}

const chatText = (number: number): string => `${number} `.padEnd(TEXT_BYTES, 'x');

const withRoom = <Result>(
  { folder: parent, progress }: BenchContext,
  chats: number,
  use: (room: TestRoom) => Promise<Result>,
): Promise<Result> =>
  withTempFolder(parent, async (folder) => {
    progress(`a room of ${chats}`);
    const store = await openEmbedded({ folder });
    await seedRoom({ store, room: ROOM, chats, textBytes: TEXT_BYTES, progress });
    await store.close();
    const { url, kill } = await start(ENGAWA, { folder, redisUrl: '' }, { isPinned: false });
    const sender = await connectTo(url);
    await sender.request('add:member', { roomId: ROOM, username: 'ben' });
    let profiles = 0;
    const command = (subcommand: string, ...args: string[]): Command => {
      profiles += 1;
      const home = join(folder, `home-${profiles}`);
      return {
        program: process.execPath,
        args: [ENGAWA_COMMAND, subcommand, ROOM, '--as', `noa${profiles}`, '--server', url, ...args],
        env: { HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_STATE_HOME: join(home, 'state'), LANG: 'C.UTF-8' },
      };
    };
    try {
      return await use({ newest: chatText(chats), sender, command });
    } finally {
      sender.end();
      await kill();
    }
  });

type ClientFigures = Record<'starts' | 'calm' | 'busy', number[]> & Record<'cpu' | 'before' | 'after', number>;

async function measureClient({ quick, progress }: BenchContext, room: TestRoom): Promise<ClientFigures> {
  const { starts: count, keys, chats } = quick ? QUICK : FULL;
  const starts = await startsOf(room, count);
  return withWindow(room, async (window) => {
    progress('echo');
    const calm = await echoes(window, keys);
    const stop = sendAtRate(room, BUSY_PER_SECOND);
    const begun = { at: performance.now(), cpu: cpuUsage(window.pid).cpu };
    const busy = await echoes(window, keys);
    const cpu = (cpuUsage(window.pid).cpu - begun.cpu) / ((performance.now() - begun.at) / 1000);
    stop();
    await sleep(SETTLE_MS);
    const before = residentBytes(window.pid);
    progress(`${chats} chats`);
    const numbers = Array.from({ length: chats }, (_, index) => index + 1);
    await runConcurrently(numbers, { concurrency: CONCURRENCY }, (number) => send(room, number));
    await window.waitForText(chatText(chats).trim());
    await sleep(SETTLE_MS);
    return { starts, calm, busy, cpu, before, after: residentBytes(window.pid) };
  });
}

async function startsOf(room: TestRoom, count: number): Promise<number[]> {
  const starts: number[] = [];
  while (starts.length < count) starts.push(await withWindow(room, async (_, milliseconds) => milliseconds));
  return starts;
}

/** Runs `use` with a client that shows the newest chat, and how long that took. */
async function withWindow<Result>(room: TestRoom, use: (window: PtyWindow, milliseconds: number) => Promise<Result>): Promise<Result> {
  const window = new PtyWindow(room.command('chat'));
  try {
    return await use(window, (await window.waitForText(room.newest.slice(0, 20))) - window.openedAt);
  } finally {
    window.close();
  }
}

/** Milliseconds from each key until it is on the screen. */
async function echoes(window: PtyWindow, keys: number): Promise<number[]> {
  const times: number[] = [];
  let typed = '';
  while (times.length < keys) {
    if (typed.length === 2 * LETTERS.length) {
      window.type(CLEAR_LINE);
      typed = '';
      await sleep(KEY_INTERVAL_MS);
    }
    const letter = LETTERS[typed.length % LETTERS.length] ?? '';
    typed += letter;
    const begun = performance.now();
    window.type(letter);
    times.push((await window.waitForText(typed)) - begun);
    await sleep(KEY_INTERVAL_MS);
  }
  window.type(CLEAR_LINE);
  return times;
}

const send = ({ sender }: TestRoom, number: number): Promise<unknown> =>
  sender.request('create:chat', { roomId: ROOM, username: 'ben', message: chatText(number) });

/** Sends chats at a rate until the returned function is called. */
function sendAtRate(room: TestRoom, perSecond: number): () => void {
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) * perSecond) / 1000);
    // A chat that is refused on a slow machine is one less.
    for (; sent < due; sent += 1) send(room, sent + 1).catch(() => undefined);
  }, BURST_MS);
  return () => clearInterval(timer);
}

async function measureSend({ command }: TestRoom, lines: number): Promise<number> {
  const { program, args, env } = command('send');
  const begun = performance.now();
  const child = spawnChild(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin?.end(Array.from({ length: lines }, (_, number) => `${chatText(number)}\n`).join(''));
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  if (exitCode !== 0) throw new Error(`engawa send ended with exit code ${exitCode}.`);
  return lines / ((performance.now() - begun) / 1000);
}
