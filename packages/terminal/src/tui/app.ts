// The full-screen client: connects rooms, state and screen.

import { type ReadMark, ReadMarks, type RoomStore } from '@engawa/chat-view';
import { type Chat, type Client, type ConnectionError, JoinError, type MissedEntry, type Room, type RoomEnding } from '@engawa/client';
import { mentions } from '@engawa/protocol/mentions';
import { CliError } from '../command-line/cli-error.ts';
import type { Messages } from '../i18n/messages.ts';
import { Editor, MAX_LINE_LENGTH } from '../input/editor.ts';
import type { Profile } from '../profile/profile.ts';
import type { Size } from '../screen/frame.ts';
import type { Screen, ScreenListener } from '../screen/screen.ts';
import { codePointLength } from '../text/length.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { type Alerts, createAlertStore, DEFAULT_ALERTS } from '../view-model/alerts.ts';
import { Drafts } from './drafts.ts';
import type { EditorResult } from './external-editor.ts';
import { PanelLoader } from './panel-loader.ts';
import { nextUnreadTab } from './room-order.ts';
import { ScrollController } from './scroll-controller.ts';
import { isNameProblem, type State } from './state.ts';
import { Tab } from './tab.ts';
import { type Composition, compose } from './view/compose.ts';

export interface AppOptions {
  client: Client;
  profile: Pick<Profile, 'username' | 'server' | 'storage' | 'rooms' | 'problem'>;
  messages: Messages;
  /** Opens the text in the external editor of the user, which has the terminal until it ends. */
  editExternally: (text: string, fits: (text: string) => boolean) => Promise<EditorResult>;
}

const OFFLINE_NOTICE_DELAY_MS = 30_000;
const BELL_INTERVAL_MS = 2_000;
/** Rooms and keys change the state, and the state is drawn. */
export class App {
  readonly state: State;
  readonly client: Client;
  readonly #profile: AppOptions['profile'];
  readonly #editExternally: AppOptions['editExternally'];
  readonly #readMarks: ReadMarks;
  readonly drafts: Drafts;
  readonly #alerts: RoomStore<Alerts>;
  #screen: Screen | undefined;
  readonly scroller: ScrollController;
  readonly #panelLoader: PanelLoader;
  readonly #exited: Promise<number>;
  #resolveExit: (exitCode: number) => void = () => undefined;
  #rejectExit: (failure: CliError) => void = () => undefined;
  #composition: Composition | undefined;
  #title = '';
  #lastBellAt = 0;
  #offlineTimer: ReturnType<typeof setTimeout> | undefined;

  constructor({ client, profile, messages, editExternally }: AppOptions) {
    this.client = client;
    this.#editExternally = editExternally;
    this.#profile = profile;
    this.#readMarks = new ReadMarks(profile.storage, profile.server);
    this.drafts = new Drafts(profile.storage, profile.server);
    this.#alerts = createAlertStore(profile.storage, profile.server);
    this.state = {
      messages,
      client,
      server: profile.server,
      username: profile.username,
      tabs: [],
      active: undefined,
      panel: undefined,
      prompt: new Editor(),
      notice: undefined,
      connectionError: undefined,
      completion: undefined,
      isFocused: true,
      isRoomListShown: undefined,
      listFirst: undefined,
      offlineSince: undefined,
    };
    this.#exited = new Promise((resolve, reject) => {
      this.#resolveExit = resolve;
      this.#rejectExit = reject;
    });
    this.scroller = new ScrollController(
      this.state,
      () => this.size,
      () => this.draw(),
    );
    this.#panelLoader = new PanelLoader(client, this.state, () => this.draw());
    this.#subscribeToClient();
  }

  /** Opens the screen, then the rooms or the room list. Resolves with the exit code at the end. */
  async run(roomId: string | undefined, open: (listener: Omit<ScreenListener, 'onInput'>) => Promise<Screen>): Promise<number> {
    this.#screen = await open({ onResize: () => this.draw(), onClosed: () => this.quit() });
    this.#reopen(roomId);
    if (this.#profile.problem !== undefined)
      this.showNotice(this.state.messages.storageFailed(sanitizeLine(this.#profile.problem)), 'warning');
    this.draw();
    return this.#exited;
  }

  /** Opens the rooms of the last run. Joins the requested or last active one first: a server limits the rate of joins. */
  #reopen(roomId: string | undefined): void {
    const { open, active } = this.#profile.rooms.read();
    const tabs = open.map((id) => this.#createTab(id));
    this.state.tabs = tabs;
    const requestedId = roomId?.normalize();
    const first = tabs.find(({ id }) => id === (requestedId ?? active)) ?? (roomId === undefined ? tabs[0] : undefined);
    if (first) void this.#joinRoom(first, { create: first.id === requestedId });
    if (first) this.activate(first);
    else if (roomId !== undefined) this.join(roomId);
    else this.showRooms();
    for (const tab of tabs) if (tab !== first) void this.#joinRoom(tab, { create: false });
  }

  /** The last composition, which maps a click to what was clicked. */
  get composition(): Composition | undefined {
    return this.#composition;
  }

  get size(): Size {
    return this.#screen?.size ?? { columns: 80, rows: 24 };
  }

  draw(): void {
    this.#screen?.draw(this.#render);
  }

  redraw(): void {
    this.#screen?.redraw();
  }

  showNotice(text: string, color: 'accent' | 'warning' | 'bad' = 'accent'): void {
    this.state.notice = { text, color };
    this.draw();
  }

  /** Asks for confirmation: `onConfirm` runs if the next key is Enter. */
  confirm(text: string, onConfirm: () => void): void {
    this.state.notice = { text, color: 'warning', onConfirm };
    this.draw();
  }

  /** False if the terminal has no clipboard. */
  copy(text: string): boolean {
    return this.#screen?.copyToClipboard(text) ?? false;
  }

  /** Opens the input of a room in the external editor. Nothing is sent before Enter. */
  async openExternalEditor(tab: Tab): Promise<void> {
    const { messages } = this.state;
    await this.#screen?.releaseWhile(async () => {
      const result = await this.#editExternally(tab.editor.text, (text) => codePointLength(text) <= MAX_LINE_LENGTH);
      if ('text' in result) tab.editor.setText(result.text);
      else if ('failed' in result) this.showNotice(messages.editorFailed(sanitizeLine(result.failed)), 'warning');
      else this.showNotice(messages.editorTooLong(MAX_LINE_LENGTH, sanitizeLine(result.tooLong)), 'warning');
    });
    this.drafts.save(tab);
    this.draw();
  }

  /** Activates the room, and joins it if it is not open. */
  join(roomId: string): void {
    const id = roomId.normalize();
    const open = this.state.tabs.find((tab) => tab.id === id);
    // Try again if the join was refused or the room has ended.
    if (open?.problem && !isNameProblem(open.problem.code)) void this.#joinRoom(open, { create: true });
    this.activate(open ?? this.#openTab(id, { create: true }));
  }

  /** Joins under another name. The SDK sends the pending chats under that name. */
  joinAs(tab: Tab, username: string): void {
    tab.username = username;
    void this.#joinRoom(tab, { create: true });
  }

  activate(tab: Tab): void {
    const { state } = this;
    if (state.active && state.active !== tab) state.active.newAfter = undefined;
    if (state.active !== tab) tab.newAfter = tab.unread.count > 0 ? tab.readSeq : undefined;
    Object.assign(state, { active: tab, panel: undefined, completion: undefined, listFirst: undefined });
    this.#saveOpenRooms();
    void this.scroller.scrollToFirstUnread(tab);
    this.draw();
  }

  /** Closes a room without leaving it. */
  close(tab: Tab): void {
    const { tabs } = this.state;
    const at = tabs.indexOf(tab);
    this.state.tabs = tabs.filter((each) => each !== tab);
    tab.detachRoom();
    const next = this.state.tabs[Math.min(at, this.state.tabs.length - 1)];
    this.state.active = undefined;
    this.#saveOpenRooms();
    if (next) this.activate(next);
    else this.showRooms();
  }

  /** Activates the next room with unread chats; rooms with mentions come first. */
  nextUnread(): void {
    const next = nextUnreadTab(this.state);
    if (next) this.activate(next);
    else this.showNotice(this.state.messages.allRead);
  }

  showRooms(): void {
    this.#panelLoader.showRooms();
  }

  showMembers(): void {
    this.#panelLoader.showMembers();
  }

  /** Ends the client. A failure is printed after the screen is closed. */
  quit(failure?: CliError): void {
    this.#saveOpenRooms();
    this.#readMarks.flush();
    this.drafts.flush();
    this.#alerts.flush();
    clearTimeout(this.#offlineTimer);
    this.#panelLoader.close();
    for (const tab of this.state.tabs) tab.detachRoom();
    this.#screen?.close();
    void this.client.close().then(() => (failure ? this.#rejectExit(failure) : this.#resolveExit(0)));
  }

  focus(isFocused: boolean): void {
    const { state } = this;
    state.isFocused = isFocused;
    if (!isFocused && state.active) state.active.newAfter = state.active.readSeq;
    for (const { room } of state.tabs) room?.setPresence(isFocused ? 'online' : 'away');
    this.draw();
  }

  /** Scrolls up by rows; down if negative. */
  scroll(by: number): void {
    this.scroller.scrollBy(by, this.#composition?.maxScroll ?? 0);
  }

  /** Scrolls the room list down by rows; up if negative. */
  scrollList(by: number): void {
    const { above = 0, below = 0 } = this.#composition?.list ?? {};
    this.state.listFirst = Math.max(0, Math.min((this.state.listFirst ?? above) + by, above + below));
    this.draw();
  }

  setAlerts(tab: Tab, alerts: Partial<Alerts>): void {
    tab.alerts = { ...tab.alerts, ...alerts };
    this.#alerts.write(tab.id, tab.alerts);
    this.draw();
  }

  markAllRead(): void {
    for (const tab of this.state.tabs) if (tab.room) this.#markRead(tab, tab.room, tab.room.position.seq);
    this.draw();
  }

  #openTab(id: string, { create }: { create: boolean }): Tab {
    const tab = this.#createTab(id);
    this.state.tabs = [...this.state.tabs, tab];
    void this.#joinRoom(tab, { create });
    return tab;
  }

  #createTab(id: string): Tab {
    const tab = new Tab(id, this.state.username, () => this.draw());
    void this.drafts.restore(tab).then(() => this.draw());
    void this.#alerts.read(id).then((alerts) => {
      // A setting that was made in the meantime is newer than the stored one.
      if (tab.alerts === DEFAULT_ALERTS) tab.alerts = alerts ?? DEFAULT_ALERTS;
      this.draw();
    });
    return tab;
  }

  async #joinRoom(tab: Tab, { create }: { create: boolean }): Promise<void> {
    tab.detachRoom();
    const mark = await this.#readMarks.read(tab.id);
    try {
      const room = await this.client.join(tab.id, { username: tab.username, create });
      if (this.state.tabs.includes(tab)) this.#onJoined(tab, room, mark);
    } catch (error) {
      if (!(error instanceof JoinError)) throw error;
      const { code, message } = error;
      if (code === 'closed') return;
      tab.problem = { code, text: this.#problemText(tab, code, message) };
    }
    this.draw();
  }

  #onJoined(tab: Tab, room: Room, mark: ReadMark | undefined): void {
    tab.attachRoom(room, this.#subscribe(tab, room));
    this.drafts.restoreComposing(tab);
    // Without a local read mark, the server knows it if the user is still a member.
    tab.readSeq = mark?.epoch === room.position.epoch ? mark.seq : room.lastReadSeq;
    if (tab.unread.count > 0) tab.newAfter = tab.readSeq;
    if (room.state === 'live') void this.scroller.scrollToFirstUnread(tab);
    if (!this.state.isFocused) room.setPresence('away');
    void this.#loadMemberNames(tab, room);
  }

  #problemText(tab: Tab, code: string, message: string): string {
    const { messages } = this.state;
    const [room, name] = [`#${sanitizeLine(tab.id)}`, sanitizeLine(tab.username)];
    if (code === 'name_taken') return messages.nameTaken(room, name);
    if (code === 'name_confusable') return messages.nameConfusable(room, name);
    return sanitizeLine(messages.refusal({ code, message } as Parameters<Messages['refusal']>[0]));
  }

  /** For completion, and to detect confusable names before their first chat. */
  async #loadMemberNames(tab: Tab, room: Room): Promise<void> {
    const answer = await room.listMembers({ limit: 500 });
    if (!answer.ok) return;
    for (const { username } of answer.members) tab.names.recordActivity(username);
    this.draw();
  }

  /** Returns a function that ends the subscription. */
  #subscribe(tab: Tab, room: Room): () => void {
    const unsubscribers = [
      room.on('change', () => this.draw()),
      room.on('entry', (entry) => this.#onEntry(tab, room, entry)),
      room.on('state', (now) => {
        if (now === 'live') void this.scroller.scrollToFirstUnread(tab);
      }),
      room.on('presence', () => this.#panelLoader.onMembersChanged(tab)),
      room.on('members', () => this.#panelLoader.onMembersChanged(tab)),
      room.on('chat', (chat) => this.#onChat(tab, room, chat)),
      room.on('reset', () => this.#onReset(tab)),
      room.on('ended', (ending) => this.#onRoomEnded(tab, ending)),
    ];
    return () => {
      for (const unsubscribe of unsubscribers) unsubscribe();
    };
  }

  #onEntry(tab: Tab, room: Room, entry: MissedEntry): void {
    tab.notes.addEntry(entry, room.username);
    tab.joined?.history.onEntry(entry);
    if ('chatSeq' in entry) tab.joined?.quotes.invalidate(entry.chatSeq);
    if (entry.kind === 'add:member') tab.names.recordActivity(entry.username);
    if (entry.kind === 'add:member' || entry.kind === 'remove:member') this.#panelLoader.onMembersChanged(tab);
  }

  #onReset(tab: Tab): void {
    tab.reset();
    if (tab === this.state.active) this.showNotice(this.state.messages.historyReset, 'warning');
  }

  #onChat(tab: Tab, room: Room, { username, message }: Chat): void {
    tab.names.recordActivity(username);
    if (username === room.username) return;
    if (room.state === 'catching up') tab.newAfter ??= tab.readSeq;
    if (message === null || Date.now() - this.#lastBellAt < BELL_INTERVAL_MS || !this.#shouldRing(tab, mentions(message, room.username)))
      return;
    this.#lastBellAt = Date.now();
    this.#screen?.bell();
  }

  /** Chats without a mention ring only if the user is not looking at the room. */
  #shouldRing(tab: Tab, isMention: boolean): boolean {
    const { bell, isMuted } = tab.alerts;
    if (isMuted || bell === 'off') return false;
    return isMention || (bell === 'all' && !(this.state.isFocused && tab === this.state.active));
  }

  #onRoomEnded(tab: Tab, { reason, by, error }: RoomEnding): void {
    if (reason === 'left' || reason === 'closed') return;
    const { messages } = this.state;
    const code = error?.code ?? reason;
    const text = error
      ? this.#problemText(tab, code, error.message)
      : messages.ending(reason, by === undefined ? undefined : sanitizeLine(by));
    tab.problem = { code, text };
    this.draw();
  }

  #subscribeToClient(): void {
    const { client, state } = this;
    const startedAt = Date.now();
    const isOnline = () => client.state === 'online';
    const startOfflineTimer = (since: number) => {
      this.#offlineTimer ??= setTimeout(() => {
        if (!isOnline()) state.offlineSince = since;
        this.draw();
      }, OFFLINE_NOTICE_DELAY_MS);
    };
    startOfflineTimer(startedAt);
    client.on('state', (now) => {
      if (now === 'reconnecting') startOfflineTimer(Date.now());
      if (now === 'online') {
        clearTimeout(this.#offlineTimer);
        this.#offlineTimer = undefined;
        state.offlineSince = undefined;
        state.connectionError = undefined;
      }
      this.draw();
    });
    client.on('error', (error) => {
      if (error.address !== undefined) return this.#onConnectionError(error);
      const { code, roomId } = error;
      const text = sanitizeLine(state.messages.refusal(error));
      // The SDK retries by itself, and the room list shows the rooms that are not joined yet.
      if (code === 'rate_limited' && roomId !== undefined) return;
      if (code === 'storage_failed') this.showNotice(state.messages.storageFailed(text), 'warning');
      else this.showNotice(roomId === undefined ? text : `#${sanitizeLine(roomId)}: ${text}`, error.retryable ? 'warning' : 'bad');
    });
  }

  #onConnectionError(error: ConnectionError): void {
    const text = sanitizeLine(this.state.messages.connectionError(error));
    const isOnline = this.client.state === 'online';
    if (!error.retryable) this.quit(new CliError(text));
    else if (isOnline) this.showNotice(text, 'warning');
    else this.state.connectionError = text;
    this.draw();
  }

  /** Marks the newest chats as read before they are drawn, so that visible chats are never counted as unread. */
  readonly #render = (size: Size) => {
    const { active, panel, isFocused } = this.state;
    // While catching up, the missed chats are not complete.
    const isSeen = isFocused && !panel && active?.room !== undefined && active.room.state !== 'catching up';
    if (isSeen && active.anchor === undefined && active.joined?.history.isNewest)
      this.#markRead(active, active.room, active.room.position.seq);
    const composition = compose(this.state, size);
    this.#composition = composition;
    if (isSeen && composition.visible) this.#markRead(active, active.room, composition.visible.lastVisibleSeq);
    this.#updateTitle();
    this.scroller.loadVisible(composition);
    return composition.frame;
  };

  #markRead(tab: Tab, room: Room, seq: number): void {
    if (seq <= tab.readSeq) return;
    tab.readSeq = seq;
    room.markRead(seq);
    this.#readMarks.write(room, seq);
  }

  #updateTitle(): void {
    const { tabs, active } = this.state;
    const unread = tabs.reduce((sum, tab) => sum + tab.alertingUnread.count, 0);
    const mark = tabs.some((tab) => tab.alertingUnread.mentions > 0) ? '@' : '';
    const title = `${unread > 0 ? `(${mark}${unread}) ` : ''}${active ? `#${sanitizeLine(active.id)} — ` : ''}Engawa`;
    if (title !== this.#title) this.#screen?.setTitle(title);
    this.#title = title;
  }

  #saveOpenRooms(): void {
    this.#profile.rooms.write({ open: this.state.tabs.map(({ id }) => id), active: this.state.active?.id });
  }
}
