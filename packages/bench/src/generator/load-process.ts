/** One of the processes that make load. Ends with its parent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { handleCommands } from '../processes/worker-rpc.ts';
import { ArrivalSchedule } from './arrival-schedule.ts';
import { monotonicMs } from './clock.ts';
import type { JoinPhase, JoinResult, LoadCommand, RoomGroup, Target, WorkerFigures, WorkerShare } from './generator.ts';
import { Histogram } from './histogram.ts';
import { findStamp, isStampAt, RUNS, STAMP_LENGTH, stampedDueUs, stampedRun, stampedUs } from './timestamp-marker.ts';
import { type JoinEvent, type MemberListener, type Membership, VirtualUser } from './virtual-user.ts';

/** Addresses of this machine whence connections are made, each with ports of its own. Elsewhere than on Linux there is one. */
const LOCAL_ADDRESSES = process.platform === 'linux' ? Array.from({ length: 8 }, (_, number) => `127.0.0.${number + 2}`) : [undefined];
const TICK_MS = 1;
/** For those who only connect. */
const CONNECTING_MS = 60_000;
/** Bytes of `42["create:chat` */
const BEFORE_STAMP = 14;

/** The members of one group that are in this process. */
class Hall {
  readonly group: RoomGroup;
  /** By room. */
  readonly members: VirtualUser[][];
  latency = new Histogram();
  said = 0;
  /** Where the stamp was in the frame before: it mostly is there again. */
  #stampAt = 0;

  constructor(group: RoomGroup) {
    this.group = group;
    this.members = Array.from({ length: group.rooms }, () => []);
  }

  hear(frame: Buffer, start: number, end: number): void {
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
    heard += 1;
    bytes += end - start;
  }

  /** All who read and are in this process, all rooms by turns. */
  speakers(): VirtualUser[] {
    const most = Math.max(...this.members.map(({ length }) => length));
    return Array.from({ length: most }, (_, number) => this.members.flatMap((room) => room[number] ?? [])).flat();
  }
}

let halls: Hall[] = [];
/** Connections of no group, and members who read nothing. */
const others: VirtualUser[] = [];
let run = 0;
let beginAtMs = 0;
let measuredFromUs = 0;
/** When the bytes that are looked at were read, from the beginning of the run. */
let readAtUs = 0;
let received = 0;
let heard = 0;
let refused = 0;
let lost = 0;
let lag = new Histogram();
let cpu = 0;
let bytes = 0;
let onAnswer: MemberListener['onAnswer'] = countRefusal;

function onRead(length: number): void {
  received += length;
  readAtUs = (monotonicMs() - beginAtMs) * 1000;
}

function countRefusal(_: VirtualUser, isAccepted: boolean): void {
  if (!isAccepted) refused += 1;
}

const audienceOf = (hall?: Hall): MemberListener => ({
  onRead,
  onChat: (frame, start, end) => hall?.hear(frame, start, end),
  onAnswer: (member, isAccepted) => onAnswer(member, isAccepted),
  onLost: () => (lost += 1),
});

let connections = 0;

function enter(place: Membership, entrance: JoinEvent, { target, hall }: { target: Target; hall?: Hall }): Promise<VirtualUser> {
  const { hostname, port } = new URL(target.url);
  connections += 1;
  const localAddress = LOCAL_ADDRESSES[connections % LOCAL_ADDRESSES.length];
  const way = { address: { host: hostname, port: Number(port), localAddress }, dialect: target.dialect, audience: audienceOf(hall) };
  return VirtualUser.join(place, way, entrance);
}

interface Seat extends Membership {
  hall: Hall;
  room: number;
  number: number;
}

async function gather(entrance: 'first' | 'rest', gathering: JoinPhase, part: WorkerShare): Promise<JoinResult> {
  if (entrance === 'first') halls = gathering.groups.map((group) => new Hall(group));
  const seats = halls.flatMap((hall) => seatsOf(hall.group, entrance, part).map((seat) => ({ ...seat, hall })));
  const begun = performance.now();
  const before = received;
  const refusals: string[] = [];
  const deadline = begun + gathering.patienceMs;
  let joined = 0;

  async function take(seat: Seat): Promise<void> {
    const { hall, room, number } = seat;
    const way: JoinEvent = entrance === 'first' ? 'create:room' : hall.group.isOnePerson ? 'connect' : 'add:member';
    const member = await enter(seat, way, { target: gathering.target, hall });
    joined += 1;
    member.prepare(gathering.textBytes, { acknowledged: gathering.acknowledged ?? false });
    if (number >= hall.group.members - (hall.group.stopped ?? 0)) others.push(member);
    else hall.members[room]?.push(member);
  }
  await inTurn(seats, { atOnce: gathering.atOnce ?? 1, deadline }, (seat) =>
    take(seat).catch((error: unknown) => void refusals.push((error as Error).message)),
  );
  if (entrance === 'rest') for (const member of others) member.stopReading();
  return { joined, wanted: seats.length, seconds: (performance.now() - begun) / 1000, bytes: received - before, refusals };
}

/** All rooms grow evenly. */
function seatsOf(group: RoomGroup, entrance: 'first' | 'rest', { index, of }: WorkerShare): Omit<Seat, 'hall'>[] {
  const { name, rooms, members, isOnePerson = false } = group;
  const [from, to] = entrance === 'first' ? [0, 1] : [1, members];
  const numbers = Array.from({ length: Math.max(to - from, 0) }, (_, offset) => from + offset);
  return numbers
    .filter((number) => number % of === index)
    .flatMap((number) =>
      Array.from({ length: rooms }, (_, room) => ({
        roomId: `${name}-${room}`,
        username: isOnePerson ? 'member' : `member-${number}`,
        ...(isOnePerson && { session: `${name}-${room}-`.padEnd(32, 's') }),
        room,
        number,
      })),
    );
}

/** So many at the same time, in order, until the deadline; those under way then are not waited for. */
async function inTurn<Item>(
  items: Item[],
  { atOnce, deadline }: { atOnce: number; deadline: number },
  each: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  async function work(): Promise<void> {
    for (let item = items[next++]; item !== undefined && performance.now() < deadline; item = items[next++]) await each(item);
  }
  const timeUp = sleep(Math.max(deadline - performance.now(), 0), undefined, { ref: false });
  await Promise.race([Promise.all(Array.from({ length: atOnce }, work)), timeUp]);
}

/** How many came in. */
async function connect(target: Target, count: number, atOnce: number): Promise<number> {
  const places = Array.from({ length: count }, (_, number) => ({ roomId: 'none', username: `visitor-${number}` }));
  await inTurn(places, { atOnce, deadline: performance.now() + CONNECTING_MS }, (place) =>
    enter(place, 'connect', { target }).then(
      (member) => void others.push(member),
      () => undefined,
    ),
  );
  return others.length;
}

function reset(): void {
  for (const hall of halls) Object.assign(hall, { latency: new Histogram(), said: 0 });
  [heard, bytes, refused, lost, lag] = [0, 0, 0, 0, new Histogram()];
}

async function talk(order: Extract<LoadCommand, { do: 'talk' }>): Promise<void> {
  const { perSecond, warmUpMs, measuredMs } = order.talk;
  const { index, of } = order.part;
  reset();
  [run, beginAtMs, measuredFromUs] = [order.run, order.beginAtMs, warmUpMs * 1000];
  const until = warmUpMs + measuredMs;
  const talks = halls.map((hall, at) => {
    const speakers = hall.speakers();
    const share = speakers.length / (hall.group.rooms * (hall.group.members - (hall.group.stopped ?? 0)));
    return { hall, speakers, schedule: new ArrivalSchedule({ perSecond: (perSecond[at] ?? 0) * share, phase: index / of }, until) };
  });
  const now = () => monotonicMs() - beginAtMs;
  const usage = measureFrom(() => now() >= warmUpMs);
  for (; now() < until; await sleep(TICK_MS)) {
    usage.look();
    const ms = now();
    for (const { hall, speakers, schedule } of talks)
      schedule.take(ms, (dueMs, number) => {
        const dueUs = stampedUs(dueMs * 1000);
        speakers[number % speakers.length]?.say(run, dueUs);
        if (dueUs < measuredFromUs) return;
        hall.said += 1;
        lag.add(ms * 1000 - dueUs);
      });
  }
  usage.end();
}

/** CPU from when `isBegun` to the end. */
function measureFrom(isBegun: () => boolean): { look: () => void; end: () => void } {
  let begun: { cpu: NodeJS.CpuUsage; at: number } | undefined;
  const look = () => {
    if (begun === undefined && isBegun()) begun = { cpu: process.cpuUsage(), at: performance.now() };
  };
  const end = () => {
    look();
    if (begun === undefined) return;
    const { user, system } = process.cpuUsage(begun.cpu);
    cpu = (user + system) / 1000 / (performance.now() - begun.at);
  };
  return { look, end };
}

async function ask({ warmUpMs, measuredMs }: Extract<LoadCommand, { do: 'ask' }>): Promise<WorkerFigures> {
  reset();
  const latency = new Histogram();
  const sentAt = new Map<VirtualUser, number>();
  let acknowledged = 0;
  measuredFromUs = Number.POSITIVE_INFINITY;
  const begun = performance.now();
  const [from, until] = [begun + warmUpMs, begun + warmUpMs + measuredMs];
  const usage = measureFrom(() => performance.now() >= from);
  function sayNext(member: VirtualUser): void {
    sentAt.set(member, performance.now());
    member.say(0, 0);
  }
  onAnswer = (member, isAccepted) => {
    countRefusal(member, isAccepted);
    const now = performance.now();
    if (now >= from && now < until && isAccepted) {
      latency.add((now - (sentAt.get(member) ?? now)) * 1000);
      acknowledged += 1;
    }
    if (now < until) sayNext(member);
  };
  for (const member of halls.flatMap(({ members }) => members.flat())) sayNext(member);
  for (; performance.now() < until; await sleep(5)) usage.look();
  usage.end();
  onAnswer = countRefusal;
  return { ...figures(), heard: acknowledged, latencies: [latency.toCounts()] };
}

const figures = (): WorkerFigures => ({
  said: halls.map(({ said }) => said),
  latencies: halls.map(({ latency }) => latency.toCounts()),
  lag: lag.toCounts(),
  cpu,
  bytes,
  heard,
  refused,
  lost,
});

handleCommands<LoadCommand>(async (order) => {
  switch (order.do) {
    case 'gather':
      return gather(order.entrance, order.gathering, order.part);
    case 'connect':
      return connect(order.target, order.count, order.atOnce);
    case 'talk':
      return talk(order);
    case 'heard':
      return { said: halls.map(({ said }) => said), heard };
    case 'figures':
      return figures();
    case 'ask':
      return ask(order);
  }
});
