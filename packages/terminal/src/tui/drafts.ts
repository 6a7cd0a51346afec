// Saves unsent text of each room, so that it survives a restart.

import { RoomStore } from '@engawa/chat-view';
import type { Chat, ClientStorage } from '@engawa/client';
import type { Composing, Tab } from './tab.ts';

/** A kill loses at most this much of the input. */
const SAVE_DELAY_MS = 250;

interface Draft {
  text: string;
  /** The reply or edit that the text belongs to, if any. Its seq is valid only in the same epoch. */
  composing?: Composing & { epoch: string };
}

export class Drafts {
  readonly #store: RoomStore<Draft>;
  /** The last saved state. */
  readonly #saved = new Map<string, Draft>();

  constructor(storage: ClientStorage, server: string) {
    this.#store = new RoomStore({ storage, prefix: `engawa:${server}:draft:`, parse: parseDraft, saveDelayMs: SAVE_DELAY_MS });
  }

  /** Call it after each key. */
  save(tab: Tab): void {
    const draft = toDraft(tab);
    const before = this.#saved.get(tab.id);
    // Until the room is joined, it is unknown whether the text is still a reply or an edit.
    const isSame = draft?.text === before?.text && (!tab.room || draft?.composing?.chat === before?.composing?.chat);
    if (isSame) return;
    if (draft) {
      this.#saved.set(tab.id, draft);
      this.#store.write(tab.id, draft);
    } else {
      this.#saved.delete(tab.id);
      // Remove it at once: sent text must not reappear as a draft.
      this.#store.remove(tab.id);
    }
  }

  /** Puts the draft into the editor, unless the user has typed in the meantime. */
  async restore(tab: Tab): Promise<void> {
    const draft = await this.#store.read(tab.id);
    if (!draft || tab.editor.text !== '') return;
    this.#saved.set(tab.id, draft);
    tab.editor.setText(draft.text);
    this.restoreComposing(tab);
  }

  /** Resumes a reply or an edit, once the room is joined and has the same epoch. */
  restoreComposing(tab: Tab): void {
    const draft = this.#saved.get(tab.id);
    const { room, editor } = tab;
    if (!draft?.composing || tab.composing || !room || editor.text !== draft.text) return;
    const { epoch, ...composing } = draft.composing;
    if (epoch === room.position.epoch) tab.composing = composing;
    // The target is gone: keep both texts.
    else if (composing.kind === 'edit' && composing.draft !== '') editor.setText(`${draft.text}\n${composing.draft}`);
  }

  flush(): void {
    this.#store.flush();
  }
}

/** Undefined if nothing was typed. */
function toDraft({ editor: { text }, composing, room }: Tab): Draft | undefined {
  const isUntouched = composing?.kind === 'edit' ? text === composing.chat.message && composing.draft === '' : text === '';
  if (isUntouched) return undefined;
  return { text, ...(composing && room && { composing: { ...composing, epoch: room.position.epoch } }) };
}

function parseDraft(read: unknown): Draft | undefined {
  const draft = read as Partial<Draft> | null;
  if (typeof draft?.text !== 'string') return undefined;
  return isComposing(draft.composing) ? { text: draft.text, composing: draft.composing } : { text: draft.text };
}

function isComposing(read: Draft['composing']): read is NonNullable<Draft['composing']> {
  const chat = read?.chat as Partial<Chat> | undefined;
  const isKnown = read?.kind === 'reply' || read?.kind === 'edit';
  return isKnown && typeof read.draft === 'string' && typeof read.epoch === 'string' && typeof chat?.seq === 'number';
}
