/** A group of a few dozen actors who all send chats in one room. */
import type { Store } from '@engawa/server';
import { expect } from 'vitest';
import { findForkFaults } from '../checkers/history.ts';
import { readRoom } from '../checkers/recording.ts';
import { until } from '../processes/server.ts';
import { type ChatActor, ROOM, type SdkActor, type SocketIoActor } from './chat-actors.ts';
import { ConsistencyChecker } from './consistency-checker.ts';

interface LargeActorGroupOptions {
  sdk?: number;
  socketIo?: number;
  /** Milliseconds between two chats of one actor. */
  pauseMs?: number;
}

const BACK_MS = 30_000;

/** A few dozen actors of both kinds in one room. */
export class LargeActorGroup {
  readonly checker = new ConsistencyChecker();
  readonly sdk: SdkActor[] = [];
  readonly socketIo: SocketIoActor[] = [];
  #stops: (() => void)[] = [];

  /** Distributes them over the servers in turn. */
  static async start(
    urls: string[],
    { sdk = 16, socketIo: socketIoCount = 8, pauseMs = 100 }: LargeActorGroupOptions = {},
  ): Promise<LargeActorGroup> {
    const group = new LargeActorGroup();
    const urlOf = (index: number) => urls[index % urls.length] as string;
    for (let index = 0; index < sdk; index += 1) group.sdk.push(await group.checker.addSdkActor(`sdk ${index}`, urlOf(index)));
    for (let index = 0; index < socketIoCount; index += 1)
      group.socketIo.push(await group.checker.addSocketIoActor(`stock ${index}`, urlOf(index)));
    group.#stops = group.all.map((person) => person.startSending('', pauseMs));
    return group;
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
    await until(() => this.all.every(({ isLive }) => isLive), 'all are here', BACK_MS);
  }

  stopSending(): void {
    for (const stop of this.#stops) stop();
  }

  /** One of them leaves for good. */
  removeActor(person: SdkActor): void {
    void person.client.close();
    this.sdk.splice(this.sdk.indexOf(person), 1);
    this.checker.history.receivedLogs.splice(this.checker.history.receivedLogs.indexOf(person.receivedLog), 1);
  }

  async waitUntilAllAreReset(): Promise<void> {
    const areReset = () => this.sdk.every(({ resets }) => resets.length > 0) && this.socketIo.every(({ resets }) => resets > 0);
    await until(areReset, 'all received a reset', BACK_MS);
  }

  /**
   * The log has lost its end. Actors with the SDK have sent their lost chats again; and what each actor received since its reset
   * is a run of the log.
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
