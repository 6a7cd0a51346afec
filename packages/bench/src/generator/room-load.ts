// The members of a load process: they join rooms, send chats at a rate, and measure when they receive them.
import { setTimeout as sleep } from 'node:timers/promises';
import { ArrivalSchedule } from './arrival-schedule.ts';
import { monotonicMs } from './clock.ts';
import type { JoinPhase, JoinResult, LoadCommand, RoomGroup, Target, WorkerFigures, WorkerShare } from './generator.ts';
import { Histogram } from './histogram.ts';
import { runConcurrently } from './run-concurrently.ts';
import { findStamp, isStampAt, RUNS, STAMP_LENGTH, stampedDueUs, stampedRun, stampedUs } from './timestamp-marker.ts';
import { type JoinEvent, type MemberListener, type Membership, VirtualUser } from './virtual-user.ts';

/** Source addresses on Linux, each with ports of its own. */
const LOCAL_ADDRESSES = process.platform === 'linux' ? Array.from({ length: 8 }, (_, number) => `127.0.0.${number + 2}`) : [undefined];
const TICK_MS = 1;
const CONNECT_DEADLINE_MS = 60_000;
/** Bytes of `42["create:chat` */
const BEFORE_STAMP = 14;

/** The members of one group that are in this process. */
class GroupMembers {
  readonly group: RoomGroup;
  /** By room, those that send. */
  readonly senders: VirtualUser[][];
  latency = new Histogram();
  sent = 0;
  /** Where the stamp was in the last frame: it mostly is there again. */
  #stampAt = 0;

  constructor(group: RoomGroup) {
    this.group = group;
    this.senders = Array.from({ length: group.rooms }, () => []);
  }

  receive(frame: Buffer, start: number, end: number): void {
    let at = start + this.#stampAt;
    if (this.#stampAt === 0 || at + STAMP_LENGTH > end || !isStampAt(frame, at)) {
      at = findStamp(frame, start + BEFORE_STAMP, end);
      if (at < 0) return;
      this.#stampAt = at - start;
    }
    if (stampedRun(frame, at) !== run % RUNS) return;
    const dueUs = stampedDueUs(frame, at);
    if (dueUs < measuredFromUs) return;
    this.latency.add(readAtUs - dueUs);
    received += 1;
    bytes += end - start;
  }

  /** Sorted so that the rooms take turns. */
  inTurn(): VirtualUser[] {
    const longest = Math.max(...this.senders.map(({ length }) => length));
    return Array.from({ length: longest }, (_, number) => this.senders.flatMap((room) => room[number] ?? [])).flat();
  }
}

let groups: GroupMembers[] = [];
/** Connections that do not send. */
const others: VirtualUser[] = [];
let run = 0;
let beginAtMs = 0;
let measuredFromUs = 0;
/** When the current bytes were read, since the beginning of the run. */
let readAtUs = 0;
let bytesRead = 0;
let received = 0;
let refused = 0;
let lost = 0;
let lag = new Histogram();
let cpu = 0;
let bytes = 0;
let onAnswer: MemberListener['onAnswer'] = countRefusal;

function onRead(length: number): void {
  bytesRead += length;
  readAtUs = (monotonicMs() - beginAtMs) * 1000;
}

function countRefusal(_: VirtualUser, isAccepted: boolean): void {
  if (!isAccepted) refused += 1;
}

const listenerOf = (members?: GroupMembers): MemberListener => ({
  onRead,
  onChat: (frame, start, end) => members?.receive(frame, start, end),
  onAnswer: (member, isAccepted) => onAnswer(member, isAccepted),
  onLost: () => (lost += 1),
});

let connections = 0;

function enter(place: Membership, event: JoinEvent, { target, members }: { target: Target; members?: GroupMembers }): Promise<VirtualUser> {
  const { hostname, port } = new URL(target.url);
  connections += 1;
  const localAddress = LOCAL_ADDRESSES[connections % LOCAL_ADDRESSES.length];
  const address = { host: hostname, port: Number(port), localAddress };
  return VirtualUser.join(place, { address, dialect: target.dialect, listener: listenerOf(members) }, event);
}

interface Place extends Membership {
  members: GroupMembers;
  room: number;
  number: number;
}

export async function join(entrance: 'first' | 'rest', phase: JoinPhase, part: WorkerShare): Promise<JoinResult> {
  if (entrance === 'first') groups = phase.groups.map((group) => new GroupMembers(group));
  const places = groups.flatMap((members) => placesOf(members, entrance, part));
  const begun = performance.now();
  const before = bytesRead;
  const refusals: string[] = [];
  let joined = 0;

  async function take(place: Place): Promise<void> {
    const { members, room, number } = place;
    const { group } = members;
    const { stopped = 0, senders = group.members, isOnePerson = false } = group;
    const event: JoinEvent = entrance === 'first' ? 'create:room' : isOnePerson ? 'connect' : 'add:member';
    const doesRead = group.senders === undefined || number >= senders;
    const target = { ...phase.target, url: urlOf(group, phase.target.url, place) };
    const user = await enter(place, event, doesRead ? { target, members } : { target });
    joined += 1;
    user.prepare(phase.textBytes, { acknowledged: phase.acknowledged ?? false });
    if (number < senders && number < group.members - stopped) members.senders[room]?.push(user);
    else others.push(user);
    if (number >= group.members - stopped) stopping.push(user);
  }
  const limits = { concurrency: phase.concurrency ?? 1, deadlineMs: phase.deadlineMs };
  await runConcurrently(places, limits, (place) => take(place).catch((error: unknown) => void refusals.push((error as Error).message)));
  if (entrance === 'rest') for (const user of stopping.splice(0)) user.stopReading();
  return { joined, wanted: places.length, seconds: (performance.now() - begun) / 1000, bytes: bytesRead - before, refusals };
}

/** They stop to read when all have joined. */
const stopping: VirtualUser[] = [];

function urlOf({ urls, senders = 0 }: RoomGroup, url: string, { room, number }: Place): string {
  if (urls === undefined) return url;
  const [of, at] = number < senders ? [urls.senders, room] : [urls.readers, room + number - senders];
  return of[at % of.length] ?? url;
}

/** Sorted so that all rooms grow evenly. */
function placesOf(members: GroupMembers, entrance: 'first' | 'rest', { index, of }: WorkerShare): Place[] {
  const { group } = members;
  const { name, rooms, isOnePerson = false } = group;
  const [from, to] = entrance === 'first' ? [0, 1] : [1, group.members];
  const numbers = Array.from({ length: Math.max(to - from, 0) }, (_, offset) => from + offset);
  return numbers
    .filter((number) => number % of === index)
    .flatMap((number) =>
      Array.from({ length: rooms }, (_, room) => ({
        roomId: `${name}-${room}`,
        username: isOnePerson ? 'member' : `member-${number}`,
        ...(isOnePerson && { session: `${name}-${room}-`.padEnd(32, 's') }),
        members,
        room,
        number,
      })),
    );
}

/** Returns how many were accepted. */
export async function connect(target: Target, count: number, concurrency: number): Promise<number> {
  const places = Array.from({ length: count }, (_, number) => ({ roomId: 'none', username: `visitor-${number}` }));
  await runConcurrently(places, { concurrency, deadlineMs: CONNECT_DEADLINE_MS }, (place) =>
    enter(place, 'connect', { target }).then(
      (user) => void others.push(user),
      () => undefined,
    ),
  );
  return others.length;
}

function reset(): void {
  for (const members of groups) Object.assign(members, { latency: new Histogram(), sent: 0 });
  [received, bytes, refused, lost, lag] = [0, 0, 0, 0, new Histogram()];
}

export async function runLoad(command: Extract<LoadCommand, { do: 'run' }>): Promise<void> {
  const { perSecond, warmUpMs, measuredMs } = command.phase;
  const { index, of } = command.part;
  reset();
  [run, beginAtMs, measuredFromUs] = [command.run, command.beginAtMs, warmUpMs * 1000];
  const until = warmUpMs + measuredMs;
  const series = groups.map((members, at) => {
    const { group } = members;
    const senders = members.inTurn();
    const share = senders.length / (group.rooms * (group.senders ?? group.members - (group.stopped ?? 0)));
    return { members, senders, schedule: new ArrivalSchedule({ perSecond: (perSecond[at] ?? 0) * share, phase: index / of }, until) };
  });
  const now = () => monotonicMs() - beginAtMs;
  const usage = measureCpu(() => now() >= warmUpMs);
  for (let ms = now(); ; ms = now()) {
    usage.poll();
    for (const { members, senders, schedule } of series)
      schedule.take(ms, (dueMs, number) => {
        const dueUs = stampedUs(dueMs * 1000);
        senders[number % senders.length]?.send(run, dueUs);
        if (dueUs < measuredFromUs) return;
        members.sent += 1;
        lag.add(ms * 1000 - dueUs);
      });
    if (ms >= until) break;
    await sleep(TICK_MS);
  }
  usage.end();
}

/** Measures the CPU of this process, from when `hasBegun` to the end. */
function measureCpu(hasBegun: () => boolean): { poll: () => void; end: () => void } {
  let begun: { cpu: NodeJS.CpuUsage; at: number } | undefined;
  const poll = () => {
    if (begun === undefined && hasBegun()) begun = { cpu: process.cpuUsage(), at: performance.now() };
  };
  const end = () => {
    poll();
    if (begun === undefined) return;
    const { user, system } = process.cpuUsage(begun.cpu);
    cpu = (user + system) / 1000 / (performance.now() - begun.at);
  };
  return { poll, end };
}

export async function measureAcks({ warmUpMs, measuredMs }: { warmUpMs: number; measuredMs: number }): Promise<WorkerFigures> {
  reset();
  const latency = new Histogram();
  const sentAt = new Map<VirtualUser, number>();
  let acknowledged = 0;
  measuredFromUs = Number.POSITIVE_INFINITY;
  const begun = performance.now();
  const [from, until] = [begun + warmUpMs, begun + warmUpMs + measuredMs];
  const usage = measureCpu(() => performance.now() >= from);
  function sendNext(user: VirtualUser): void {
    sentAt.set(user, performance.now());
    user.send(0, 0);
  }
  onAnswer = (user, isAccepted) => {
    countRefusal(user, isAccepted);
    const now = performance.now();
    if (now >= from && now < until && isAccepted) {
      latency.add((now - (sentAt.get(user) ?? now)) * 1000);
      acknowledged += 1;
    }
    if (now < until) sendNext(user);
  };
  for (const user of groups.flatMap(({ senders }) => senders.flat())) sendNext(user);
  for (; performance.now() < until; await sleep(5)) usage.poll();
  usage.end();
  onAnswer = countRefusal;
  return { ...figures(), received: acknowledged, latencies: [latency.toCounts()] };
}

export const counts = (): { sent: number[]; received: number } => ({ sent: groups.map(({ sent }) => sent), received });

export const figures = (): WorkerFigures => ({
  ...counts(),
  latencies: groups.map(({ latency }) => latency.toCounts()),
  lag: lag.toCounts(),
  cpu,
  bytes,
  refused,
  lost,
});
