// Width of the name column of a room; it grows and never shrinks.
import type { TimelineChat } from '@engawa/client';
import { displayWidth, widthMode } from '../text/display-width.ts';
import { sanitizeLine } from '../text/sanitize.ts';

/** Limit for names that are remembered as measured. */
const MAX_MEASURED_NAMES = 1_000;

/** The width of the widest name shown so far, so that texts do not move back and forth. */
export class NameColumnWidth {
  readonly #measuredNames = new Set<string>();
  #chats: readonly TimelineChat[] | undefined;
  #widthMode = '';
  #width = 0;

  widthFor(chats: readonly TimelineChat[]): number {
    if (chats === this.#chats && this.#widthMode === widthMode()) return this.#width;
    if (this.#widthMode !== widthMode() || this.#measuredNames.size > MAX_MEASURED_NAMES) this.#measuredNames.clear();
    this.#chats = chats;
    this.#widthMode = widthMode();
    for (const { username } of chats) {
      if (this.#measuredNames.has(username)) continue;
      this.#measuredNames.add(username);
      this.#width = Math.max(this.#width, displayWidth(sanitizeLine(username)));
    }
    return this.#width;
  }
}
