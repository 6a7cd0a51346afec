/** What somebody heard of a room, entry by entry: each must follow the one before, so nothing was left out, and nothing told twice. */
export class OrderChecker {
  entryCount = 0;
  readonly errors: string[] = [];
  #lastId: string | undefined;

  /** Of a frame as it came; what is no entry is not looked at. */
  check(frame: Buffer): void {
    const [event, entry] = JSON.parse(frame.toString('utf8', EVENT.length)) as [
      string,
      { id?: string; prev?: string | null; seq?: number },
    ];
    if (entry.id === undefined || entry.prev === undefined) return;
    if (this.#lastId !== undefined && entry.prev !== this.#lastId)
      this.errors.push(`${event} ${entry.seq} does not follow what was heard before it`);
    this.#lastId = entry.id;
    this.entryCount += 1;
  }
}

const EVENT = '42';
