// Checks that each entry of a room follows the one before: nothing is missing, and nothing arrives twice.
export class OrderChecker {
  entryCount = 0;
  readonly errors: string[] = [];
  #lastId: string | undefined;

  /** Ignores events that are no entries. */
  check(packet: string): void {
    const [event, entry] = JSON.parse(packet.slice(EVENT.length)) as [string, { id?: string; prev?: string | null; seq?: number }];
    if (entry.id === undefined || entry.prev === undefined) return;
    if (this.#lastId !== undefined && entry.prev !== this.#lastId)
      this.errors.push(`${event} ${entry.seq} does not follow the entry that was received before it`);
    this.#lastId = entry.id;
    this.entryCount += 1;
  }
}

const EVENT = '42';
