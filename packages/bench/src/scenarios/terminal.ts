import { setTimeout as sleep } from 'node:timers/promises';
import { cpuUsage, residentBytes } from '../profiling/process-usage.ts';
import { median, percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';
import { chatText, programs, type TerminalProgram, type TestRoom } from '../terminals/programs.ts';
import { PtyWindow } from '../terminals/pty-window.ts';

const MEBI = 2 ** 20;
const STARTS = 5;
const KEYS = 100;
const KEY_EVERY_MS = 50;
const BURST_MS = 10;
const BUSY_PER_SECOND = 1_000;
const HEARD_PER_SECOND = 2_500;
const CALM_MS = 2_000;
/** Without letters of the texts that are said, so that it is found on the screen only where it is typed. */
const LETTERS = 'qwertyuiop';
const CLEAR_LINE = '\x15';

export const terminal: Scenario = {
  name: 'terminal',
  async run(bench) {
    const heard = bench.quick ? 10_000 : 100_000;
    const rows = [];
    for (const program of programs) rows.push([program.name, ...(await measure(program, heard, bench))]);
    const sizes = bench.quick ? [100, 100_000] : [100, 1_000_000];
    const opened = [];
    for (const program of programs.filter(({ isBounded }) => !isBounded)) {
      for (const chats of sizes) opened.push([program.name, chats, await measureStart(program, chats, bench)]);
    }
    return [
      {
        title: 'In the terminal',
        note: [
          'A program in a terminal of 100 × 30, whose screen a model reads. Start: from spawning it until the newest chat of a room of 100 is seen,',
          `the median of ${STARTS} times, on a warm file cache; IRC's clients are told the newest 50 by their server when they join. Echo: from a key until`,
          `it is seen, ${KEYS} keys, while nobody talks and while ${BUSY_PER_SECOND.toLocaleString('en-US')} chats a second come in, with the processor time that the program takes for`,
          `them. Resident: VmRSS before and after ${heard.toLocaleString('en-US')} chats of 40 bytes came in. Nothing is pinned.`,
        ].join(' '),
        columns: [
          { name: 'program' },
          { name: 'start', unit: 'ms' },
          { name: 'echo, calm, p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: `echo at ${BUSY_PER_SECOND.toLocaleString('en-US')}/s, p50`, unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'CPU', unit: 'cores' },
          { name: 'resident', unit: 'MiB' },
          { name: `after ${heard.toLocaleString('en-US')} chats`, unit: 'MiB' },
        ],
        rows,
      },
      {
        title: 'Opening a long room in the terminal',
        note: `From spawning the program until the newest chat is seen, the median of ${STARTS} times.`,
        columns: [{ name: 'program' }, { name: 'chats' }, { name: 'start', unit: 'ms' }],
        rows: opened,
      },
    ];
  },
};

function measure(program: TerminalProgram, heard: number, { folder, progress }: BenchContext): Promise<number[]> {
  return program.withRoom(folder, 100, async (room) => {
    progress(`${program.name}: starts`);
    const starts = await startsOf(room);
    return withWindow(room, async (window) => {
      progress(`${program.name}: echo`);
      const calm = await echoes(window);
      const talk = talkOf(room, BUSY_PER_SECOND);
      const begun = { at: performance.now(), cpu: cpuUsage(window.pid).cpu };
      const busy = await echoes(window);
      const cpu = (cpuUsage(window.pid).cpu - begun.cpu) / ((performance.now() - begun.at) / 1000);
      talk.stop();
      await sleep(CALM_MS);
      const before = residentBytes(window.pid) / MEBI;
      progress(`${program.name}: ${heard} chats`);
      await talkOf(room, HEARD_PER_SECOND, heard).isOver;
      await window.waitForText(chatText(heard).trim());
      await sleep(CALM_MS);
      const after = residentBytes(window.pid) / MEBI;
      return [median(starts), median(calm), percentile(calm, 0.99), median(busy), percentile(busy, 0.99), cpu, before, after];
    });
  });
}

function measureStart(program: TerminalProgram, chats: number, { folder, progress }: BenchContext): Promise<number> {
  progress(`${program.name}: a room of ${chats}`);
  return program.withRoom(folder, chats, async (room) => median(await startsOf(room)));
}

async function startsOf(room: TestRoom): Promise<number[]> {
  const starts: number[] = [];
  while (starts.length < STARTS) starts.push(await withWindow(room, async (_, milliseconds) => milliseconds));
  return starts;
}

/** Opens the room, and says how long it took to see its newest chat. */
async function withWindow<Result>(room: TestRoom, use: (window: PtyWindow, milliseconds: number) => Promise<Result>): Promise<Result> {
  const window = new PtyWindow(room.command());
  try {
    return await use(window, (await window.waitForText(room.newest.slice(0, 20))) - window.openedAt);
  } finally {
    window.close();
  }
}

/** Milliseconds from each key until what was typed is seen with it. */
async function echoes(window: PtyWindow): Promise<number[]> {
  const times: number[] = [];
  let typed = '';
  while (times.length < KEYS) {
    if (typed.length === 2 * LETTERS.length) {
      window.type(CLEAR_LINE);
      typed = '';
      await sleep(KEY_EVERY_MS);
    }
    const letter = LETTERS[typed.length % LETTERS.length] ?? '';
    typed += letter;
    const begun = performance.now();
    window.type(letter);
    times.push((await window.waitForText(typed)) - begun);
    await sleep(KEY_EVERY_MS);
  }
  window.type(CLEAR_LINE);
  return times;
}

/** Numbered chats at that rate, until it is stopped or so many were said. */
function talkOf(room: TestRoom, perSecond: number, chats = Number.POSITIVE_INFINITY): { isOver: Promise<void>; stop: () => void } {
  const begun = performance.now();
  let said = 0;
  let stop: () => void = () => undefined;
  const isOver = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(Math.floor(((performance.now() - begun) * perSecond) / 1000), chats);
      for (; said < due; said += 1) room.say(chatText(said + 1));
      if (said === chats) stop();
    }, BURST_MS);
    stop = () => {
      clearInterval(timer);
      resolve();
    };
  });
  return { isOver, stop };
}
