/** A server is killed again and again under all the load that it takes, while some do not read: what was said is kept once, and heard once. */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { Missed } from '@engawa/protocol';
import { expect, test, vi } from 'vitest';
import { withFolder } from '#clean-up.js';
import { RawClient } from '#raw-client.js';
import { freePort } from '#redis-process.js';
import { startServer } from '#server-process.js';

const rounds = Number(process.env.ROUNDS ?? 3);
const ROOMS = 2;
const SPEAKERS_PER_ROOM = 5;
/** Each speaker has so many chats under way, of so many characters. */
const UNDER_WAY = 40;
const TEXT_LENGTH = 4_000;
/** In each room, before the kill: eight megabytes, more than the system takes for who does not read. */
const CHATS = 2_000;
/** Milliseconds by which the kill comes later each round. */
const LATER_MS = 70;
const PATIENCE = { timeout: 30_000, interval: 20 };

type Entry = Pick<Missed, 'id' | 'seq' | 'epoch'> & { kind?: string; prev?: string | null; message?: string | null };
const sessionOf = (): string => randomBytes(24).toString('base64url');

class Speaker {
  readonly place: { roomId: string; username: string };
  readonly acked: string[] = [];
  /** Said, and not known to be kept. */
  readonly open = new Set<string>();
  readonly #session = sessionOf();
  #client: RawClient | undefined;
  #said = 0;

  constructor(roomId: string, number: number) {
    this.place = { roomId, username: `speaker-${number}` };
  }

  async enter(url: string): Promise<void> {
    this.#client = await RawClient.connect(url, { session: this.#session });
    const join = this.place.username === 'speaker-0' && this.#said === 0 ? 'create:room' : 'add:member';
    await this.#client.ask(join, this.place);
  }

  /** Until there is no server any more. */
  async storm(): Promise<void> {
    await Promise.all(
      Array.from({ length: UNDER_WAY }, async () => {
        for (let goesOn = true; goesOn; ) {
          const chat = `${this.place.username} ${this.#said}`;
          this.#said += 1;
          this.open.add(chat);
          goesOn = await this.#say(chat);
        }
      }),
    );
  }

  /** Says again what may not be kept. */
  async makeSure(): Promise<void> {
    await Promise.all([...this.open].map((chat) => this.#say(chat)));
  }

  close(): void {
    this.#client?.close();
  }

  async #say(chat: string): Promise<boolean> {
    try {
      await this.#client?.ask('create:chat', { ...this.place, clientId: chat, message: `${chat} `.padEnd(TEXT_LENGTH, '.') });
      this.open.delete(chat);
      this.acked.push(chat);
      return true;
    } catch {
      return false;
    }
  }
}

class Listener {
  readonly place: { roomId: string; username: string };
  readonly heard: string[] = [];
  readonly faults: string[] = [];
  readonly #readsNothing: boolean;
  readonly #session = sessionOf();
  #client: RawClient | undefined;
  #position: { epoch: string; seq: number; id: string } | undefined;
  /** What is told while it is not clear yet what was missed. */
  #waiting: Entry[] | undefined;

  constructor(roomId: string, username: string, { readsNothing = false } = {}) {
    this.place = { roomId, username };
    this.#readsNothing = readsNothing;
  }

  async enter(url: string): Promise<void> {
    this.#waiting = [];
    this.#client = await RawClient.connect(url, { session: this.#session }, (frame) => this.#hear(frame));
    if (this.#position === undefined) await this.#client.ask('add:member', this.place);
    else await this.#catchUp(this.#client);
    const { seq } = this.#position ?? { seq: 0 };
    const told = this.#waiting.filter((entry) => entry.seq > seq);
    this.#waiting = undefined;
    for (const entry of told) this.#take(entry);
  }

  stopReading(): void {
    if (this.#readsNothing) this.#client?.stopReading();
  }

  readOn(): void {
    this.#client?.readOn();
  }

  close(): void {
    this.#client?.close();
  }

  async #catchUp(client: RawClient): Promise<void> {
    for (let isBehind = true; isBehind; ) {
      const { rooms } = await client.ask('resume:rooms', { rooms: [{ ...this.place, ...this.#position! }] });
      const [room] = rooms;
      if (room?.outcome !== 'more' && room?.outcome !== 'caught_up') throw new Error(`${this.place.username}: ${JSON.stringify(room)}`);
      for (const entry of room.entries) this.#take(entry);
      isBehind = room.outcome === 'more';
    }
  }

  #hear(frame: Buffer): void {
    const [event, entry] = JSON.parse(frame.toString('utf8', 2)) as [string, Entry];
    if (entry.prev === undefined) return;
    const told = { ...entry, kind: event.replace(':success', '') };
    if (this.#waiting) this.#waiting.push(told);
    else this.#take(told);
  }

  #take(entry: Entry): void {
    if (this.#position && entry.prev !== this.#position.id)
      this.faults.push(`${this.place.username}: ${entry.seq} after ${this.#position.seq}`);
    this.#position = { epoch: entry.epoch, seq: entry.seq, id: entry.id };
    if (entry.kind === 'create:chat') this.heard.push(entry.message?.trimEnd().replace(/ \.*$/, '') ?? '');
  }
}

test(`${rounds} kills under full load and slow readers: all that was said is heard once, by all, in one order`, {
  timeout: 60_000 + rounds * 30_000,
}, async () => {
  await withFolder(tmpdir(), async (folder) => {
    const port = await freePort();
    const roomIds = Array.from({ length: ROOMS }, (_, number) => `room-${number}`);
    const speakers = roomIds.flatMap((roomId) => Array.from({ length: SPEAKERS_PER_ROOM }, (_, number) => new Speaker(roomId, number)));
    const listeners = roomIds.flatMap((roomId) => [
      new Listener(roomId, 'reader'),
      new Listener(roomId, 'slow reader', { readsNothing: true }),
      new Listener(roomId, 'late reader', { readsNothing: true }),
    ]);
    const everybody = [...speakers, ...listeners];
    for (let round = 0; round <= rounds; round += 1) {
      const server = await startServer(folder, port);
      await Promise.all(speakers.filter(({ place }) => place.username === 'speaker-0').map((speaker) => speaker.enter(server.url)));
      await Promise.all(everybody.filter(({ place }) => place.username !== 'speaker-0').map((one) => one.enter(server.url)));
      await Promise.all(speakers.map((speaker) => speaker.makeSure()));
      expect(speakers.filter(({ open }) => open.size > 0)).toEqual([]);
      if (round === rounds) {
        await vi.waitFor(() => {
          for (const { place, heard } of listeners) expect(heard).toHaveLength(ackedIn(speakers, place.roomId).length);
        }, PATIENCE);
        for (const one of everybody) one.close();
        await server.kill();
        break;
      }
      for (const listener of listeners) listener.stopReading();
      const storm = speakers.map((speaker) => speaker.storm());
      const before = roomIds.map((roomId) => ackedIn(speakers, roomId).length);
      await vi.waitFor(() => {
        for (const [index, roomId] of roomIds.entries()) expect(ackedIn(speakers, roomId).length - before[index]!).toBeGreaterThan(CHATS);
      }, PATIENCE);
      // Some begin to be caught up, and are in the midst of it.
      for (const listener of listeners) if (listener.place.username === 'late reader') listener.readOn();
      await new Promise((resolve) => setTimeout(resolve, (round * LATER_MS) % (4 * LATER_MS)));
      await server.kill();
      await Promise.all(storm);
      for (const one of everybody) one.close();
    }
    expect(listeners.flatMap(({ faults }) => faults)).toEqual([]);
    for (const { place, heard } of listeners) {
      expect(heard.toSorted()).toEqual(ackedIn(speakers, place.roomId).toSorted());
      expect(heard).toEqual(listeners.find((other) => other.place.roomId === place.roomId)?.heard);
    }
  });
});

const ackedIn = (speakers: Speaker[], roomId: string): string[] =>
  speakers.filter(({ place }) => place.roomId === roomId).flatMap(({ acked }) => acked);
