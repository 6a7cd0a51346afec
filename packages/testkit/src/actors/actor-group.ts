/** A group of actors of both kinds that all send chats in one room. */
import type { Store } from '@engawa/server';
import { expect } from 'vitest';
import { findForkFaults } from '../checkers/history.ts';
import { readRoom } from '../checkers/recording.ts';
import { until } from '../wait-for.ts';
import { type ChatActor, ROOM, type SdkActor, type SocketIoActor } from './chat-actors.ts';
import { ConsistencyChecker } from './consistency-checker.ts';

interface ActorGroupOptions {
  /** Numbers of actors. */
  sdk?: number;
  socketIo?: number;
  /** Milliseconds between two chats of one actor. */
  pauseMs?: number;
}

const SETTLE_TIMEOUT_MS = 30_000;
/** Two of each kind, which send one chat after the other: one server can take it, with room for every retry. */
const SMALL_GROUP: ActorGroupOptions = { sdk: 2, socketIo: 2, pauseMs: 2 };

/** By default a few dozen actors. */
export class ActorGroup {
  readonly checker = new ConsistencyChecker();
  readonly sdk: SdkActor[] = [];
  readonly socketIo: SocketIoActor[] = [];
  #stops: (() => void)[] = [];

  /** Distributes them over the servers in turn. */
  static async start(
    urls: string[],
    { sdk = 16, socketIo: socketIoCount = 8, pauseMs = 100 }: ActorGroupOptions = {},
  ): Promise<ActorGroup> {
    const group = new ActorGroup();
    const urlOf = (index: number) => urls[index % urls.length] as string;
    for (let index = 0; index < sdk; index += 1) group.sdk.push(await group.checker.addSdkActor(`sdk ${index}`, urlOf(index)));
    for (let index = 0; index < socketIoCount; index += 1)
      group.socketIo.push(await group.checker.addSocketIoActor(`stock ${index}`, urlOf(index)));
    group.#stops = group.all.map((actor) => actor.startSending('', pauseMs));
    return group;
  }

  static startSmall(url: string): Promise<ActorGroup> {
    return ActorGroup.start([url], SMALL_GROUP);
  }

  get all(): ChatActor[] {
    return [...this.sdk, ...this.socketIo];
  }

  /** Connections that were lost. */
  get drops(): number {
    return this.all.reduce((sum, { drops }) => sum + drops, 0);
  }

  /** Waits until all are live. */
  async waitUntilAllAreLive(): Promise<void> {
    await until(() => this.all.every(({ isLive }) => isLive), 'all are live', SETTLE_TIMEOUT_MS);
  }

  /** Waits until every actor has lost its connection this often, and is live again. */
  async waitUntilReconnected(drops: number): Promise<void> {
    await until(() => this.all.every((each) => each.drops >= drops && each.isLive), 'all have reconnected', SETTLE_TIMEOUT_MS);
  }

  stopSending(): void {
    for (const stop of this.#stops) stop();
  }

  /** One of them leaves for good. */
  removeActor(actor: SdkActor): void {
    void actor.client.close();
    this.sdk.splice(this.sdk.indexOf(actor), 1);
    this.checker.history.receivedLogs.splice(this.checker.history.receivedLogs.indexOf(actor.receivedLog), 1);
  }

  async waitUntilAllAreReset(): Promise<void> {
    const areReset = () => this.sdk.every(({ resets }) => resets.length > 0) && this.socketIo.every(({ resets }) => resets > 0);
    await until(areReset, 'all received a reset', SETTLE_TIMEOUT_MS);
  }

  /** Stops the chats, waits until all is consistent, and expects no faults in the store, which `openStore` opens then. */
  async expectConsistent(openStore: () => Promise<Store>): Promise<void> {
    this.stopSending();
    await this.checker.waitUntilConsistent();
    expect(await this.checker.findFaults(await openStore())).toEqual([]);
  }

  /**
   * The log has lost its end. Actors with the SDK have sent their lost chats again; and what each actor received since its reset
   * is a contiguous part of the log.
   */
  async expectConsistentAfterFork(store: Store): Promise<void> {
    this.stopSending();
    await this.checker.waitUntilConsistent();
    const { receivedLogs, sent } = this.checker.history;
    const resenders = new Set(this.sdk.map(({ name }) => name));
    const history = { receivedLogs, sent: sent.filter(({ client }) => resenders.has(client)) };
    expect(findForkFaults(history, await readRoom(store, ROOM, sent))).toEqual([]);
  }
}
