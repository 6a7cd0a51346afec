import type { Store } from '@engawa/server';
import { expect } from 'vitest';
import { faultsOfFork } from '../../../server/test/helpers/history.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { until } from '../../../server/test/helpers/server.ts';
import { type Person, ROOM, type SdkPerson, type StockPerson } from './people.ts';
import { Scene } from './scene.ts';

interface Gathering {
  sdk?: number;
  stock?: number;
  /** Milliseconds between two chats of one of them. */
  breathMs?: number;
}

const BACK_MS = 30_000;

/** A few dozen people of both kinds, who all talk in one room. */
export class Throng {
  readonly scene = new Scene();
  readonly sdk: SdkPerson[] = [];
  readonly stock: StockPerson[] = [];
  #hushes: (() => void)[] = [];

  /** Spread over the servers in turn. */
  static async gather(urls: string[], { sdk = 16, stock = 8, breathMs = 100 }: Gathering = {}): Promise<Throng> {
    const throng = new Throng();
    const urlOf = (index: number) => urls[index % urls.length] as string;
    for (let index = 0; index < sdk; index += 1) throng.sdk.push(await throng.scene.enter(`sdk ${index}`, urlOf(index)));
    for (let index = 0; index < stock; index += 1) throng.stock.push(await throng.scene.enterStock(`stock ${index}`, urlOf(index)));
    throng.#hushes = throng.all.map((person) => person.talk('', breathMs));
    return throng;
  }

  get all(): Person[] {
    return [...this.sdk, ...this.stock];
  }

  /** Connections that were lost. */
  get drops(): number {
    return this.all.reduce((sum, { drops }) => sum + drops, 0);
  }

  /** Those who are there and told everything. */
  async untilAllAreHere(): Promise<void> {
    await until(() => this.all.every(({ isHere }) => isHere), 'all are here', BACK_MS);
  }

  hush(): void {
    for (const hush of this.#hushes) hush();
  }

  /** Somebody of them leaves for good. */
  loses(person: SdkPerson): void {
    void person.client.close();
    this.sdk.splice(this.sdk.indexOf(person), 1);
    this.scene.history.hearings.splice(this.scene.history.hearings.indexOf(person.hearing), 1);
  }

  async untilAllAreTold(): Promise<void> {
    const areTold = () => this.sdk.every(({ resets }) => resets.length > 0) && this.stock.every(({ resets }) => resets > 0);
    await until(areTold, 'all are told that the log is another one', BACK_MS);
  }

  /**
   * The log has lost its end. Who is here with the SDK has said again what he was acknowledged and it lost; and what anybody
   * heard since he was told of it is a run of the log.
   */
  async endsWellInFork(store: Store): Promise<void> {
    this.hush();
    await this.scene.calm();
    const { hearings, sent } = this.scene.history;
    const canRepeat = new Set(this.sdk.map(({ name }) => name));
    const history = { hearings, sent: sent.filter(({ client }) => canRepeat.has(client)) };
    expect(faultsOfFork(history, await readRoom(store, ROOM, sent))).toEqual([]);
  }
}
