// What slash commands do in the full-screen client.

import { findSeqIndex, isConfirmed } from '@engawa/chat-view';
import type { Chat, OutgoingChat, TimelineChat } from '@engawa/client';
import type { ScreenCommandContext } from '../commands/slash-commands.ts';
import { excerpt } from '../text/excerpt.ts';
import { sanitizeForClipboard } from '../text/pasteable.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import type { BellMode } from '../view-model/alerts.ts';
import type { App } from './app.ts';
import { replySeqOf } from './view/chat-rows.ts';
import { chatKey } from './view/timeline.ts';

export class TuiCommandContext implements ScreenCommandContext {
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
  }

  get messages() {
    return this.#app.state.messages;
  }

  get room() {
    return this.#tab?.room;
  }

  get #tab() {
    return this.#app.state.active;
  }

  info(text: string): void {
    this.#app.showNotice(text);
  }

  warn(text: string): void {
    this.#app.showNotice(text, 'warning');
  }

  show(what: 'help' | 'who' | 'rooms'): void {
    if (what === 'rooms') {
      this.#app.showRooms();
      return;
    }
    if (what === 'who') {
      this.#app.showMembers();
      return;
    }
    this.#app.state.panel = { kind: 'help', scroll: 0 };
  }

  targetChat(whose: 'mine' | 'others' | 'anyone'): Chat | undefined {
    const selected = this.#selected;
    if (selected)
      return isConfirmed(selected) && !selected.deleted && (whose !== 'mine' || this.#isEditable(selected)) ? selected : undefined;
    const me = this.room?.username;
    const isMatch = (chat: TimelineChat) => whose === 'anyone' || (chat.username === me) === (whose === 'mine');
    const found = this.room?.timeline.chats.findLast((chat) => isConfirmed(chat) && !chat.deleted && isMatch(chat));
    return found && isConfirmed(found) ? found : undefined;
  }

  failedChat(): OutgoingChat | undefined {
    const selected = this.#selected;
    if (selected?.state === 'failed') return selected.outgoing;
    const found = this.room?.timeline.chats.findLast(({ state }) => state === 'failed');
    return found?.state === 'failed' ? found.outgoing : undefined;
  }

  async confirmDeletion({ message }: Chat, deleteChat: () => Promise<unknown>): Promise<void> {
    this.#app.confirm(this.messages.confirmDeletion(excerpt(message ?? '')), () => void deleteChat());
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
    if (!answer.ok && !tab.problem) return this.warn(this.messages.actionRefused(sanitizeLine(this.messages.refusal(answer.error))));
    this.#app.close(tab);
    this.info(this.messages.leftRoom(`#${sanitizeLine(tab.id)}`));
  }

  close(): void {
    if (this.#tab) this.#app.close(this.#tab);
  }

  compose(kind: 'reply' | 'edit', chat: Chat): void {
    const tab = this.#tab;
    if (!tab) return;
    this.cancelComposing();
    tab.composing = { kind, chat, draft: tab.editor.text };
    tab.editor.setText(kind === 'edit' ? (chat.message ?? '') : tab.editor.text);
    tab.selected = chatKey(chat);
    this.#app.draw();
  }

  /** Cancels a reply or edit and restores the input before it. */
  cancelComposing(): void {
    const tab = this.#tab;
    if (!tab?.composing) return;
    if (tab.composing.kind === 'edit') tab.editor.setText(tab.composing.draft);
    tab.composing = undefined;
    tab.selected = undefined;
  }

  search(query: string): void {
    const matches = this.#findChats(query);
    if (!this.#tab || matches.length === 0) {
      this.warn(this.messages.notFound(sanitizeLine(query)));
      return;
    }
    this.#tab.search = { query, index: 0, count: matches.length };
    this.#tab.takesLetters = false;
    this.#reveal(matches.at(-1) as TimelineChat);
  }

  /** Moves to an older search result; to a newer one if negative. */
  moveInSearch(by: number): void {
    const tab = this.#tab;
    if (!tab?.search) return;
    const matches = this.#findChats(tab.search.query);
    if (matches.length === 0) return;
    const index = (tab.search.index + by + matches.length) % matches.length;
    tab.search = { ...tab.search, index, count: matches.length };
    this.#reveal(matches[matches.length - 1 - index] as TimelineChat);
  }

  copy({ message }: Chat): void {
    const text = sanitizeForClipboard(message ?? '');
    if (this.#app.copy(text)) this.info(this.messages.copied(excerpt(text)));
    else this.warn(this.messages.noClipboard);
  }

  openEditor(text: string): void {
    const tab = this.#tab;
    if (!tab) return;
    if (text !== '') tab.editor.setText(text);
    void this.#app.openExternalEditor(tab);
  }

  toggleMute(): void {
    const tab = this.#tab;
    if (!tab) return;
    this.#app.setAlerts(tab, { isMuted: !tab.alerts.isMuted });
    this.info(tab.alerts.isMuted ? this.messages.muted(`#${sanitizeLine(tab.id)}`) : this.messages.unmuted(`#${sanitizeLine(tab.id)}`));
  }

  showOrSetBell(bell: BellMode | undefined): void {
    const tab = this.#tab;
    if (!tab) return;
    if (bell) this.#app.setAlerts(tab, { bell, ...(bell !== 'off' && { isMuted: false }) });
    this.info(this.messages.bellSetting(tab.alerts.isMuted ? 'off' : tab.alerts.bell));
  }

  markAllRead(): void {
    this.#app.markAllRead();
    this.info(this.messages.allRead);
  }

  /** Selects the chat before or after the selected one, so that letters act on it. After the newest one, selects none. */
  moveSelection(by: -1 | 1): void {
    const tab = this.#tab;
    if (!tab) return;
    tab.takesLetters = true;
    const { chats } = tab;
    const now = chats.findLastIndex((chat) => chatKey(chat) === tab.selected);
    const next = now === -1 ? this.#lastVisibleIndex() : now + by;
    if (next >= chats.length) tab.selected = undefined;
    else if (chats[next]) this.#reveal(chats[next]);
    this.#app.draw();
  }

  /** A click only selects; letters stay text. */
  toggleSelection(key: string): void {
    if (this.#tab) Object.assign(this.#tab, { selected: this.#tab.selected === key ? undefined : key, takesLetters: false });
    this.#app.draw();
  }

  /** The last visible chat. */
  #lastVisibleIndex(): number {
    const tab = this.#tab;
    if (!tab?.anchor) return (tab?.chats.length ?? 0) - 1;
    return findSeqIndex(tab.chats, (chat) => (isConfirmed(chat) ? chat.seq : Number.POSITIVE_INFINITY), tab.anchor.seq);
  }

  get #selected(): TimelineChat | undefined {
    const tab = this.#tab;
    return tab?.selected === undefined ? undefined : tab.chats.findLast((chat) => chatKey(chat) === tab.selected);
  }

  /** The owner of a room may edit and delete all chats. */
  #isEditable({ username }: TimelineChat): boolean {
    return this.room?.role === 'owner' || username === this.room?.username;
  }

  #findChats(query: string): TimelineChat[] {
    const normalizedQuery = query.normalize('NFKC').toLowerCase();
    const matches = ({ message, username }: TimelineChat) =>
      `${username}\n${message ?? ''}`.normalize('NFKC').toLowerCase().includes(normalizedQuery);
    return this.#tab?.chats.filter(matches) ?? [];
  }

  #reveal(chat: TimelineChat): void {
    this.#app.scroller.revealChat(this.#tab?.chats.indexOf(chat) ?? -1);
  }

  /** Scrolls to the chat that the selected one replies to; returns false if it is no reply. */
  goToReplyTarget(): boolean {
    const targetSeq = this.#selected && replySeqOf(this.#selected);
    if (targetSeq !== undefined) void this.#app.scroller.scrollToChat(targetSeq);
    return targetSeq !== undefined;
  }
}
