/** What is being typed in each room and was not sent, so that it outlives the program however that ends. */
import type { Chat, ClientStorage } from '@engawa/client';
import { RoomStore } from '../view-model/room-store.ts';
import type { Composing, Tab } from './tab.ts';

/** What a kill may lose of it. */
const SAVE_DELAY_MS = 250;

interface Draft {
  text: string;
  /** What the text was to be, if not a new chat. The chat's seq says nothing in a log of another epoch. */
  composing?: Composing & { epoch: string };
}

export class Drafts {
  readonly #store: RoomStore<Draft>;
  /** As they were written last. */
  readonly #saved = new Map<string, Draft>();

  constructor(storage: ClientStorage, server: string) {
    this.#store = new RoomStore({ storage, prefix: `engawa:${server}:draft:`, parse: parseDraft, saveDelayMs: SAVE_DELAY_MS });
  }

  /** To be called after every key. */
  save(tab: Tab): void {
    const draft = toDraft(tab);
    const before = this.#saved.get(tab.id);
    // Until the room is joined nobody knows whether the text is still an answer or an edit.
    const isSame = draft?.text === before?.text && (!tab.room || draft?.composing?.chat === before?.composing?.chat);
    if (isSame) return;
    if (draft) {
      this.#saved.set(tab.id, draft);
      this.#store.write(tab.id, draft);
    } else {
      this.#saved.delete(tab.id);
      // At once: what was sent must not come back as a draft.
      this.#store.remove(tab.id);
    }
  }

  /** Puts the text back into the line, if nothing was typed there since. */
  async restore(tab: Tab): Promise<void> {
    const draft = await this.#store.read(tab.id);
    if (!draft || tab.editor.text !== '') return;
    this.#saved.set(tab.id, draft);
    tab.editor.setText(draft.text);
    this.restoreComposing(tab);
  }

  /** Goes on with an answer or an edit, once the room says that its log is still the same. */
  restoreComposing(tab: Tab): void {
    const draft = this.#saved.get(tab.id);
    const { room, editor } = tab;
    if (!draft?.composing || tab.composing || !room || editor.text !== draft.text) return;
    const { epoch, ...composing } = draft.composing;
    if (epoch === room.position.epoch) tab.composing = composing;
    // Nothing that was typed is thrown away with what it belonged to.
    else if (composing.kind === 'edit' && composing.draft !== '') editor.setText(`${draft.text}\n${composing.draft}`);
  }

  flush(): void {
    this.#store.flush();
  }
}

/** Nothing where nobody typed anything. */
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
