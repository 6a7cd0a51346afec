import type { ShownChat } from '@engawa/client';
import { columnsOf, measure } from '../text/columns.ts';
import { safeLine } from '../text/safe.ts';

/** Names that are remembered as measured. */
const MOST = 1_000;

/** How wide the names of a room's authors are: as wide as the widest that was shown, so that texts do not move back and forth. */
export class NameColumn {
  readonly #measured = new Set<string>();
  #chats: readonly ShownChat[] | undefined;
  #measure = '';
  #columns = 0;

  columnsOf(chats: readonly ShownChat[]): number {
    if (chats === this.#chats && this.#measure === measure()) return this.#columns;
    if (this.#measure !== measure() || this.#measured.size > MOST) this.#measured.clear();
    this.#chats = chats;
    this.#measure = measure();
    for (const { username } of chats) {
      if (this.#measured.has(username)) continue;
      this.#measured.add(username);
      this.#columns = Math.max(this.#columns, columnsOf(safeLine(username)));
    }
    return this.#columns;
  }
}
