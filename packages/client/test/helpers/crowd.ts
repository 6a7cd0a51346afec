import { type Random, randomFrom } from '@engawa/client/testing';
import { faultsOf, faultsOfFork, type Hearing, type RoomHistory, type RoomLog, type Sent } from '../../../server/test/helpers/history.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { openAt } from '../../../server/test/helpers/stores.ts';
import { until } from '../../../server/test/helpers/waiting.ts';
import { Recorder } from './recorder.ts';
import { faultsOfTimeline } from './shown.ts';
import { SdkTalker, StockTalker, type Talker, type TalkerOptions } from './talkers.ts';

const CALM_MS = 60_000;
/**
 * One in so many stock clients polls. None goes from polling to a WebSocket, as the library does by itself: when its
 * WebSocket is cut in the middle of that, it hears nothing until its ping is over, after 45 s. Then it comes back, too.
 */
const POLLING = 5;

interface CrowdOptions extends Pick<TalkerOptions, 'url' | 'delays' | 'isShaky' | 'pauseMs'> {
  /** One in so many of each kind comes by another way. */
  detour?: { url: string; every: number };
  roomIds: string[];
  sdk: number;
  stock: number;
  random: Random;
  /** No stock client polls: it would need to meet the same server with every request. */
  isBalanced?: boolean;
}

/** What became of a crowd, as the log of the server has it. */
export interface Account {
  /** Acknowledged commands. */
  acked: number;
  /** Of these, asked again although they were kept: their first answer was lost. */
  repeated: number;
  entries: number;
  /** Entries that clients were told. */
  heard: number;
  faults: string[];
}

/** Clients of both kinds, spread over rooms, who talk. */
export class Crowd {
  readonly sdk: SdkTalker[];
  readonly stock: StockTalker[];
  readonly talkers: Talker[];
  readonly #recorder: Recorder;

  constructor({ roomIds, sdk, stock, random, detour, isBalanced = false, ...rest }: CrowdOptions) {
    const recorder = new Recorder(roomIds);
    const optionsOf = (kind: string, index: number): TalkerOptions => ({
      ...rest,
      ...(detour && index % detour.every === 0 && { url: detour.url }),
      recorder,
      roomId: roomIds[index % roomIds.length] as string,
      name: `${kind} ${index}`,
      random: randomFrom(random() * 1e9),
    });
    const transportOf = (index: number) => (index % POLLING === 0 && !isBalanced ? 'polling' : 'websocket');
    this.#recorder = recorder;
    this.sdk = Array.from({ length: sdk }, (_, index) => new SdkTalker(optionsOf('sdk', index)));
    this.stock = Array.from({ length: stock }, (_, index) => new StockTalker(optionsOf('stock', index), [transportOf(index)]));
    this.talkers = [...this.sdk, ...this.stock];
  }

  /** Commands that were acknowledged in a room. */
  ackedIn(roomId: string): number {
    return this.#recorder.rooms.get(roomId)?.sent.filter(({ acks }) => acks.length > 0).length ?? 0;
  }

  /** How many entries somebody lacks that others of his room have. */
  get longestBacklog(): number {
    const newest = (talkers: Talker[]) => talkers.map(({ hearing }) => hearing.heard.at(-1)?.seq ?? 0);
    const ofRoom = (roomId: string) => newest(this.talkers.filter((talker) => talker.roomId === roomId));
    return Math.max(...[...this.#recorder.rooms.keys()].map((roomId) => Math.max(...ofRoom(roomId)) - Math.min(...ofRoom(roomId))));
  }

  /** Nobody begins anything any more. With all of them back and nothing on its way, everybody must have and show the same. */
  async calm(): Promise<string[]> {
    for (const talker of this.talkers) talker.isTalking = false;
    const haveAll = async () => (await this.#whoIsMissing()).length === 0;
    await until(haveAll, 'everybody has everything', CALM_MS).catch(() => undefined);
    const faults = await this.#whoIsMissing();
    for (const { room } of this.sdk) if (room?.state === 'live') faults.push(...(await faultsOfTimeline(room)));
    return faults;
  }

  /**
   * When all is done, what they were told and answered must be what is kept in this place. What a fork of a log has lost stock
   * clients do not say again: it may be missing with `stockMayLose`.
   */
  async account(place: string, { stockMayLose = false } = {}): Promise<Account> {
    const account = { acked: 0, repeated: 0, entries: 0, heard: 0, faults: this.talkers.flatMap(({ faults }) => faults) };
    const store = await openAt(place);
    for (const [roomId, history] of this.#recorder.rooms) {
      const log = await readRoom(store, roomId, history.sent);
      for (const { hearing, begin } of this.sdk) noteAcked(hearing, history, { begin, log });
      for (const { hearing } of this.stock) noteAcked(hearing, history, { begin: 0, log });
      const isForked = log.epoch?.includes('.') === true;
      const sent = stockMayLose ? history.sent.filter(({ client }) => this.sdk.some(({ name }) => name === client)) : history.sent;
      const faults = isForked ? faultsOfFork({ ...history, sent }, log) : faultsOf(history, log);
      account.faults.push(...[...faults, ...this.#faultsOfSpans(roomId, log)].map((fault) => `${roomId}: ${fault}`));
      this.#count(account, history, log);
    }
    await store.close();
    return account;
  }

  close(): void {
    for (const talker of this.talkers) talker.close();
  }

  async #whoIsMissing(): Promise<string[]> {
    const waiting = this.talkers.map((talker) => talker.waitsFor(0)).filter((what) => what !== '');
    if (waiting.length > 0) return waiting;
    const heads = new Map<string, number>();
    // What was answered need not have been told to anybody yet: only the log knows.
    for (const { roomId, room } of this.sdk) {
      const page = heads.has(roomId) ? undefined : await room?.history({ limit: 1 });
      if (page?.ok) heads.set(roomId, page.seq);
    }
    return this.talkers.map((talker) => talker.waitsFor(heads.get(talker.roomId) ?? 0)).filter((what) => what !== '');
  }

  #faultsOfSpans(roomId: string, log: RoomLog): string[] {
    const isThere = (talker: Talker) => talker.roomId === roomId;
    return [
      ...this.sdk.filter(isThere).flatMap(({ hearing, begin }) => faultsOfSpan(hearing, begin, log)),
      ...this.stock
        .filter(isThere)
        .flatMap(({ hearing, isAstray }) => faultsOfSpan(hearing, isAstray ? beforeAll(hearing) : beforeJoin(hearing, log), log)),
    ];
  }

  #count(account: Account, { sent, hearings }: RoomHistory, log: RoomLog): void {
    const acked = sent.filter(({ acks }) => acks.length > 0);
    const isNamed = ({ payload }: Sent) => payload.clientId !== undefined;
    const keptAt = ({ acks: [ack] }: Sent) => log.entries[(ack?.seq ?? 0) - 1]?.at ?? Infinity;
    account.acked += acked.length;
    account.repeated += acked.filter((each) => isNamed(each) && keptAt(each) < this.#recorder.lastAskedAt(each)).length;
    account.entries += log.head;
    account.heard += hearings.reduce((sum, { heard }) => sum + heard.length, 0);
  }
}

/** What a fork has lost counts no more. */
function noteAcked(hearing: Hearing, { sent }: RoomHistory, { begin, log }: { begin: number; log: RoomLog }): void {
  const acks = sent.filter(({ client }) => client === hearing.client).flatMap((each) => each.acks);
  const own = acks.filter(({ seq, id }) => id !== undefined && isTold(log.entries[seq - 1], id)).map(({ seq }) => seq);
  hearing.acked = Math.max(hearing.acked, ...own.filter((seq) => seq > begin));
}

/** Of quiet entries who is there is told, and nobody else. */
const isTold = (entry: RoomLog['entries'][number] | undefined, id: string): boolean => entry?.id === id && !entry.quiet;

const beforeAll = ({ heard }: Hearing): number => (heard[0]?.seq ?? 1) - 1;

/** Who joins hears himself join, first of all. */
const beforeJoin = ({ client }: Hearing, { entries }: RoomLog): number =>
  (entries.find(({ kind, by }) => kind === 'add:member' && by === client)?.seq ?? 1) - 1;

/** All that was told after the beginning, from the first to the last; names that lapse in the last moment may be told to nobody. */
function faultsOfSpan({ client, heard: all }: Hearing, begin: number, { entries }: RoomLog): string[] {
  // Of quiet ones each hears his own.
  const heard = all.filter(({ quiet }) => !quiet);
  const told = entries.filter(({ quiet, seq }) => !quiet && seq > begin);
  const last = told.findLast(({ body }) => body?.reason !== 'gone')?.seq ?? 0;
  return [
    ...(heard[0]?.seq === told[0]?.seq ? [] : [`${client} heard ${heard[0]?.seq} first and not ${told[0]?.seq}`]),
    ...((heard.at(-1)?.seq ?? 0) >= last ? [] : [`${client} heard ${heard.at(-1)?.seq} last and not ${last}`]),
  ];
}
