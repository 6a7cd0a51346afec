import type { Chat, OutgoingChat, ShownChat } from '@engawa/client';
import { pasteable } from '../text/pasteable.ts';
import { quoteOf } from '../text/quote.ts';
import { safeLine } from '../text/safe.ts';
import type { Bell } from './alerts.ts';
import type { App } from './app.ts';
import type { ScreenHost } from './commands.ts';
import { indexOfSeq, isTold } from './history-window.ts';
import { replyTo } from './view/chat-rows.ts';
import { keyOf } from './view/timeline.ts';

/** What commands do on the screen. */
export class AppHost implements ScreenHost {
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
  }

  get words() {
    return this.#app.state.words;
  }

  get room() {
    return this.#tab?.room;
  }

  get #tab() {
    return this.#app.state.active;
  }

  say(text: string): void {
    this.#app.say(text);
  }

  complain(text: string): void {
    this.#app.say(text, 'warning');
  }

  show(what: 'help' | 'who' | 'rooms'): void {
    if (what === 'rooms') {
      this.#app.showRooms();
      return;
    }
    if (what === 'who') {
      this.#app.showWho();
      return;
    }
    this.#app.state.panel = { kind: 'help', scroll: 0 };
  }

  target(whose: 'mine' | 'others' | 'anybody'): Chat | undefined {
    const selected = this.#selected;
    if (selected) return isTold(selected) && !selected.deleted && (whose !== 'mine' || this.#isMine(selected)) ? selected : undefined;
    const me = this.room?.username;
    const isMeant = (chat: ShownChat) => whose === 'anybody' || (chat.username === me) === (whose === 'mine');
    const found = this.room?.timeline.chats.findLast((chat) => isTold(chat) && !chat.deleted && isMeant(chat));
    return found && isTold(found) ? found : undefined;
  }

  failed(): OutgoingChat | undefined {
    const selected = this.#selected;
    if (selected?.state === 'failed') return selected.outgoing;
    const found = this.room?.timeline.chats.findLast(({ state }) => state === 'failed');
    return found?.state === 'failed' ? found.outgoing : undefined;
  }

  async confirmDeletion({ message }: Chat, act: () => Promise<unknown>): Promise<void> {
    this.#app.ask(this.words.confirmDeletion(quoteOf(message ?? '')), () => void act());
  }

  quit(): void {
    this.#app.quit();
  }

  join(roomId: string): void {
    this.#app.join(roomId);
  }

  async leave(): Promise<void> {
    const tab = this.#tab;
    const answer = await tab?.room?.leave();
    if (!tab || !answer) return;
    if (!answer.ok && !tab.problem) return this.complain(this.words.notDone(safeLine(this.words.refusal(answer.error))));
    this.#app.close(tab);
    this.say(this.words.left(`#${safeLine(tab.id)}`));
  }

  close(): void {
    if (this.#tab) this.#app.close(this.#tab);
  }

  compose(kind: 'reply' | 'edit', chat: Chat): void {
    const tab = this.#tab;
    if (!tab) return;
    this.escapeComposing();
    tab.composing = { kind, chat, draft: tab.editor.text };
    tab.editor.replace(kind === 'edit' ? (chat.message ?? '') : tab.editor.text);
    tab.selected = keyOf(chat);
    this.#app.draw();
  }

  /** Back to what was being typed before. */
  escapeComposing(): void {
    const tab = this.#tab;
    if (!tab?.composing) return;
    if (tab.composing.kind === 'edit') tab.editor.replace(tab.composing.draft);
    tab.composing = undefined;
    tab.selected = undefined;
  }

  search(words: string): void {
    const found = this.#found(words);
    if (!this.#tab || found.length === 0) {
      this.complain(this.words.notFound(safeLine(words)));
      return;
    }
    this.#tab.search = { words, at: 0, all: found.length };
    this.#tab.takesLetters = false;
    this.#reveal(found.at(-1) as ShownChat);
  }

  /** To an older one that was found, or a newer one when it is less than zero. */
  searchOn(by: number): void {
    const tab = this.#tab;
    if (!tab?.search) return;
    const found = this.#found(tab.search.words);
    if (found.length === 0) return;
    const at = (tab.search.at + by + found.length) % found.length;
    tab.search = { ...tab.search, at, all: found.length };
    this.#reveal(found[found.length - 1 - at] as ShownChat);
  }

  copy({ message }: Chat): void {
    const text = pasteable(message ?? '');
    if (this.#app.copy(text)) this.say(this.words.copied(quoteOf(text)));
    else this.complain(this.words.noClipboard);
  }

  openEditor(text: string): void {
    const tab = this.#tab;
    if (!tab) return;
    if (text !== '') tab.editor.replace(text);
    void this.#app.writeInEditor(tab);
  }

  mute(): void {
    const tab = this.#tab;
    if (!tab) return;
    this.#app.alert(tab, { isMuted: !tab.alerts.isMuted });
    this.say(tab.alerts.isMuted ? this.words.muted(`#${safeLine(tab.id)}`) : this.words.unmuted(`#${safeLine(tab.id)}`));
  }

  bell(bell: Bell | undefined): void {
    const tab = this.#tab;
    if (!tab) return;
    if (bell) this.#app.alert(tab, { bell, ...(bell !== 'off' && { isMuted: false }) });
    this.say(this.words.bellIs(tab.alerts.isMuted ? 'off' : tab.alerts.bell));
  }

  readAll(): void {
    this.#app.readAll();
    this.say(this.words.allRead);
  }

  /** Selects the chat before or after the selected one, for letters to act on; beyond the newest none. */
  select(by: -1 | 1): void {
    const tab = this.#tab;
    if (!tab) return;
    tab.takesLetters = true;
    const { chats } = tab;
    const now = chats.findLastIndex((chat) => keyOf(chat) === tab.selected);
    const next = now === -1 ? this.#lastShown() : now + by;
    if (next >= chats.length) tab.selected = undefined;
    else if (chats[next]) this.#reveal(chats[next]);
    this.#app.draw();
  }

  /** By the mouse, which does no more than that. */
  selectKey(key: string): void {
    if (this.#tab) Object.assign(this.#tab, { selected: this.#tab.selected === key ? undefined : key, takesLetters: false });
    this.#app.draw();
  }

  /** Where the reader is. */
  #lastShown(): number {
    const tab = this.#tab;
    if (!tab?.anchor) return (tab?.chats.length ?? 0) - 1;
    return indexOfSeq(tab.chats, (chat) => (isTold(chat) ? chat.seq : Number.POSITIVE_INFINITY), tab.anchor.seq);
  }

  get #selected(): ShownChat | undefined {
    const tab = this.#tab;
    return tab?.selected === undefined ? undefined : tab.chats.findLast((chat) => keyOf(chat) === tab.selected);
  }

  /** The owner of a room may edit and delete all chats. */
  #isMine({ username }: ShownChat): boolean {
    return this.room?.role === 'owner' || username === this.room?.username;
  }

  #found(words: string): ShownChat[] {
    const wanted = words.normalize('NFKC').toLowerCase();
    const has = ({ message, username }: ShownChat) => `${username}\n${message ?? ''}`.normalize('NFKC').toLowerCase().includes(wanted);
    return this.#tab?.chats.filter(has) ?? [];
  }

  #reveal(chat: ShownChat): void {
    this.#app.reader.reveal(this.#tab?.chats.indexOf(chat) ?? -1);
  }

  /** To the chat that the selected one answers; false when it answers none. */
  goToAnswered(): boolean {
    const answered = this.#selected && replyTo(this.#selected);
    if (answered !== undefined) void this.#app.reader.goTo(answered);
    return answered !== undefined;
  }
}
