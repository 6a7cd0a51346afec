import { type Chat, type Client, type ConnectionError, type Ending, JoinError, type Missed, type Room } from '@engawa/client';
import { mentions } from '@engawa/protocol/mentions';
import { Failure } from '../failure.ts';
import { Editor, LONGEST_LINE } from '../input/editor.ts';
import type { Profile } from '../profile/profile.ts';
import type { Size } from '../screen/frame.ts';
import type { Screen, ScreenListener } from '../screen/screen.ts';
import { lengthOf } from '../text/length.ts';
import { safeLine } from '../text/safe.ts';
import type { Words } from '../words/words.ts';
import { type Alerts, alertStore, USUAL } from './alerts.ts';
import { Drafts } from './drafts.ts';
import type { Written } from './external-editor.ts';
import { type Mark, ReadMarks } from './read-marks.ts';
import { Reader } from './reader.ts';
import { RoomAsk } from './room-ask.ts';
import { nextUnreadOf } from './room-order.ts';
import type { RoomStore } from './room-store.ts';
import { asksForName, type State } from './state.ts';
import { Tab } from './tab.ts';
import { type Composition, compose } from './view/view.ts';

export interface AppOptions {
  client: Client;
  profile: Pick<Profile, 'username' | 'server' | 'storage' | 'rooms' | 'problem'>;
  words: Words;
  /** Has somebody write a text in a program of theirs, which has the terminal meanwhile. */
  write: (text: string, fits: (text: string) => boolean) => Promise<Written>;
}

const OFFLINE_MS = 30_000;
const BELL_MS = 2_000;
/** The full-screen client: rooms and keys change the state, and the state is drawn. */
export class App {
  readonly state: State;
  readonly client: Client;
  readonly #profile: AppOptions['profile'];
  readonly #write: AppOptions['write'];
  readonly #marks: ReadMarks;
  readonly drafts: Drafts;
  readonly #alerts: RoomStore<Alerts>;
  #screen: Screen | undefined;
  readonly reader: Reader;
  readonly #roomAsk: RoomAsk;
  readonly #over: Promise<number>;
  #isOver: (exitCode: number) => void = () => undefined;
  #hasFailed: (failure: Failure) => void = () => undefined;
  #composition: Composition | undefined;
  #title = '';
  #rangAt = 0;
  #offline: ReturnType<typeof setTimeout> | undefined;

  constructor({ client, profile, words, write }: AppOptions) {
    this.client = client;
    this.#write = write;
    this.#profile = profile;
    this.#marks = new ReadMarks(profile.storage, profile.server);
    this.drafts = new Drafts(profile.storage, profile.server);
    this.#alerts = alertStore(profile.storage, profile.server);
    this.state = {
      words,
      client,
      server: profile.server,
      username: profile.username,
      tabs: [],
      active: undefined,
      panel: undefined,
      field: new Editor(),
      notice: undefined,
      trouble: undefined,
      completion: undefined,
      isFocused: true,
      listsRooms: undefined,
      listFirst: undefined,
      offlineSince: undefined,
    };
    this.#over = new Promise((resolve, reject) => {
      this.#isOver = resolve;
      this.#hasFailed = reject;
    });
    this.reader = new Reader(
      this.state,
      () => this.size,
      () => this.draw(),
    );
    this.#roomAsk = new RoomAsk(client, this.state, () => this.draw());
    this.#listenToClient();
  }

  /** Takes the screen, opens the rooms, or asks which, and resolves with the exit code when the program is to end. */
  async run(asked: string | undefined, open: (listener: Omit<ScreenListener, 'key'>) => Promise<Screen>): Promise<number> {
    this.#screen = await open({ resized: () => this.draw(), gone: () => this.quit() });
    this.#reopen(asked);
    if (this.#profile.problem !== undefined) this.say(this.state.words.storage(safeLine(this.#profile.problem)), 'warning');
    this.draw();
    return this.#over;
  }

  /** The rooms of last time; the one that is asked for, or was looked at then, is joined before the others, of which a server lets in only a few at once. */
  #reopen(asked: string | undefined): void {
    const { open, active } = this.#profile.rooms.read();
    const tabs = open.map((id) => this.#newTab(id));
    this.state.tabs = tabs;
    const wanted = asked?.normalize();
    const first = tabs.find(({ id }) => id === (wanted ?? active)) ?? (asked === undefined ? tabs[0] : undefined);
    if (first) void this.#enter(first, { create: first.id === wanted });
    if (first) this.activate(first);
    else if (asked !== undefined) this.join(asked);
    else this.showRooms();
    for (const tab of tabs) if (tab !== first) void this.#enter(tab, { create: false });
  }

  /** The last composition is what somebody clicks on. */
  get composition(): Composition | undefined {
    return this.#composition;
  }

  get size(): Size {
    return this.#screen?.size ?? { columns: 80, rows: 24 };
  }

  draw(): void {
    this.#screen?.draw(this.#view);
  }

  redraw(): void {
    this.#screen?.redraw();
  }

  say(text: string, ink: 'accent' | 'warning' | 'bad' = 'accent'): void {
    this.state.notice = { text, ink };
    this.draw();
  }

  /** Does something that cannot be undone when the next key is Enter. */
  ask(text: string, confirm: () => void): void {
    this.state.notice = { text, ink: 'warning', confirm };
    this.draw();
  }

  /** False where the terminal has no clipboard. */
  copy(text: string): boolean {
    return this.#screen?.copy(text) ?? false;
  }

  /** The line of the room in the editor that somebody is used to: sent is nothing of it before Enter. */
  async writeInEditor(tab: Tab): Promise<void> {
    const { words } = this.state;
    await this.#screen?.lend(async () => {
      const written = await this.#write(tab.editor.text, (text) => lengthOf(text) <= LONGEST_LINE);
      if ('text' in written) tab.editor.replace(written.text);
      else if ('failed' in written) this.say(words.editorFailed(safeLine(written.failed)), 'warning');
      else this.say(words.editorTooLong(LONGEST_LINE, safeLine(written.tooLong)), 'warning');
    });
    this.drafts.keep(tab);
    this.draw();
  }

  /** Goes to the room, joining it when it is not open yet. */
  join(asked: string): void {
    const id = asked.normalize();
    const open = this.state.tabs.find((tab) => tab.id === id);
    // Once more, when it was refused or has ended.
    if (open?.problem && !asksForName(open.problem.code)) void this.#enter(open, { create: true });
    this.activate(open ?? this.#add(id, { create: true }));
  }

  /** Under another name than one that is taken; the SDK sends under this one what waits. */
  joinAs(tab: Tab, username: string): void {
    tab.username = username;
    void this.#enter(tab, { create: true });
  }

  activate(tab: Tab): void {
    const { state } = this;
    if (state.active && state.active !== tab) state.active.newAfter = undefined;
    if (state.active !== tab) tab.newAfter = tab.unread.count > 0 ? tab.readTo : undefined;
    Object.assign(state, { active: tab, panel: undefined, completion: undefined, listFirst: undefined });
    this.#keepRooms();
    void this.reader.toNew(tab);
    this.draw();
  }

  /** Takes a room off the list. */
  close(tab: Tab): void {
    const { tabs } = this.state;
    const at = tabs.indexOf(tab);
    this.state.tabs = tabs.filter((each) => each !== tab);
    tab.end();
    const next = this.state.tabs[Math.min(at, this.state.tabs.length - 1)];
    this.state.active = undefined;
    this.#keepRooms();
    if (next) this.activate(next);
    else this.showRooms();
  }

  /** To the next room in which something is new, those first in which one is mentioned. */
  nextUnread(): void {
    const next = nextUnreadOf(this.state);
    if (next) this.activate(next);
    else this.say(this.state.words.allRead);
  }

  showRooms(): void {
    this.#roomAsk.showRooms();
  }

  showWho(): void {
    this.#roomAsk.showWho();
  }

  /** With the failure, if there is one, told where the screen was. */
  quit(failure?: Failure): void {
    this.#keepRooms();
    this.#marks.flush();
    this.drafts.flush();
    this.#alerts.flush();
    clearTimeout(this.#offline);
    this.#roomAsk.close();
    for (const tab of this.state.tabs) tab.end();
    this.#screen?.close();
    void this.client.close().then(() => (failure ? this.#hasFailed(failure) : this.#isOver(0)));
  }

  focus(isFocused: boolean): void {
    const { state } = this;
    state.isFocused = isFocused;
    if (!isFocused && state.active) state.active.newAfter = state.active.readTo;
    for (const { room } of state.tabs) room?.setPresence(isFocused ? 'online' : 'away');
    this.draw();
  }

  /** Rows up, or down when it is less than zero. */
  scroll(by: number): void {
    this.reader.scroll(by, this.#composition?.mostScroll ?? 0);
  }

  /** Rows down, or up when it is less than zero. */
  scrollList(by: number): void {
    const { above = 0, below = 0 } = this.#composition?.list ?? {};
    this.state.listFirst = Math.max(0, Math.min((this.state.listFirst ?? above) + by, above + below));
    this.draw();
  }

  alert(tab: Tab, alerts: Partial<Alerts>): void {
    tab.alerts = { ...tab.alerts, ...alerts };
    this.#alerts.write(tab.id, tab.alerts);
    this.draw();
  }

  readAll(): void {
    for (const tab of this.state.tabs) if (tab.room) this.#read(tab, tab.room, tab.room.position.seq);
    this.draw();
  }

  #add(id: string, { create }: { create: boolean }): Tab {
    const tab = this.#newTab(id);
    this.state.tabs = [...this.state.tabs, tab];
    void this.#enter(tab, { create });
    return tab;
  }

  #newTab(id: string): Tab {
    const tab = new Tab(id, this.state.username, () => this.draw());
    void this.drafts.restore(tab).then(() => this.draw());
    void this.#alerts.read(id).then((alerts) => {
      // What was said meanwhile is newer.
      if (tab.alerts === USUAL) tab.alerts = alerts ?? USUAL;
      this.draw();
    });
    return tab;
  }

  async #enter(tab: Tab, { create }: { create: boolean }): Promise<void> {
    tab.end();
    const mark = await this.#marks.read(tab.id);
    try {
      const room = await this.client.join(tab.id, { username: tab.username, create });
      if (this.state.tabs.includes(tab)) this.#entered(tab, room, mark);
    } catch (error) {
      if (!(error instanceof JoinError)) throw error;
      const { code, message } = error;
      if (code === 'closed') return;
      tab.problem = { code, text: this.#problemText(tab, code, message) };
    }
    this.draw();
  }

  #entered(tab: Tab, room: Room, mark: Mark | undefined): void {
    tab.begin(room, this.#listenTo(tab, room));
    this.drafts.resume(tab);
    // Where that is not known here, the server knows it of who is still a member.
    tab.readTo = mark?.epoch === room.position.epoch ? mark.seq : room.read;
    if (tab.unread.count > 0) tab.newAfter = tab.readTo;
    if (room.state === 'live') void this.reader.toNew(tab);
    if (!this.state.isFocused) room.setPresence('away');
    void this.#learnNames(tab, room);
  }

  #problemText(tab: Tab, code: string, message: string): string {
    const { words } = this.state;
    const [room, name] = [`#${safeLine(tab.id)}`, safeLine(tab.username)];
    if (code === 'name_taken') return words.nameTaken(room, name);
    if (code === 'name_confusable') return words.nameConfusable(room, name);
    return safeLine(words.refusal({ code, message } as Parameters<Words['refusal']>[0]));
  }

  /** For completion, and to know look-alikes before they speak. */
  async #learnNames(tab: Tab, room: Room): Promise<void> {
    const answer = await room.listMembers({ limit: 500 });
    if (!answer.ok) return;
    for (const { username } of answer.members) tab.names.seen(username);
    this.draw();
  }

  /** Returns what ends the listening. */
  #listenTo(tab: Tab, room: Room): () => void {
    const heed = [
      room.on('change', () => this.draw()),
      room.on('entry', (entry) => this.#told(tab, room, entry)),
      room.on('state', (now) => {
        if (now === 'live') void this.reader.toNew(tab);
      }),
      room.on('presence', () => this.#roomAsk.changed(tab)),
      room.on('members', () => this.#roomAsk.changed(tab)),
      room.on('chat', (chat) => this.#heard(tab, room, chat)),
      room.on('reset', () => this.#reset(tab)),
      room.on('ended', (ending) => this.#ended(tab, ending)),
    ];
    return () => {
      for (const end of heed) end();
    };
  }

  #told(tab: Tab, room: Room, entry: Missed): void {
    tab.notes.told(entry, room.username);
    tab.joined?.history.told(entry);
    if ('chatSeq' in entry) tab.joined?.quotes.changed(entry.chatSeq);
    if (entry.kind === 'add:member') tab.names.seen(entry.username);
    if (entry.kind === 'add:member' || entry.kind === 'remove:member') this.#roomAsk.changed(tab);
  }

  #reset(tab: Tab): void {
    tab.reset();
    if (tab === this.state.active) this.say(this.state.words.reset, 'warning');
  }

  #heard(tab: Tab, room: Room, { username, message }: Chat): void {
    tab.names.seen(username);
    if (username === room.username) return;
    if (room.state === 'catching up') tab.newAfter ??= tab.readTo;
    if (message === null || Date.now() - this.#rangAt < BELL_MS || !this.#rings(tab, mentions(message, room.username))) return;
    this.#rangAt = Date.now();
    this.#screen?.bell();
  }

  /** For what does not name them only where they do not look. */
  #rings(tab: Tab, isMention: boolean): boolean {
    const { bell, isMuted } = tab.alerts;
    if (isMuted || bell === 'off') return false;
    return isMention || (bell === 'all' && !(this.state.isFocused && tab === this.state.active));
  }

  #ended(tab: Tab, { reason, by, error }: Ending): void {
    if (reason === 'left' || reason === 'closed') return;
    const { words } = this.state;
    const code = error?.code ?? reason;
    const text = error ? this.#problemText(tab, code, error.message) : words.ending(reason, by === undefined ? undefined : safeLine(by));
    tab.problem = { code, text };
    this.draw();
  }

  #listenToClient(): void {
    const { client, state } = this;
    const began = Date.now();
    const isUp = () => client.state === 'online';
    const down = (since: number) => {
      this.#offline ??= setTimeout(() => {
        if (!isUp()) state.offlineSince = since;
        this.draw();
      }, OFFLINE_MS);
    };
    down(began);
    client.on('state', (now) => {
      if (now === 'reconnecting') down(Date.now());
      if (now === 'online') {
        clearTimeout(this.#offline);
        this.#offline = undefined;
        state.offlineSince = undefined;
        state.trouble = undefined;
      }
      this.draw();
    });
    client.on('error', (error) => {
      if (error.address !== undefined) return this.#unconnected(error);
      const { code, roomId } = error;
      const text = safeLine(state.words.refusal(error));
      // The SDK waits its turn, and the list of rooms shows which are not joined yet.
      if (code === 'rate_limited' && roomId !== undefined) return;
      if (code === 'storage_failed') this.say(state.words.storage(text), 'warning');
      else this.say(roomId === undefined ? text : `#${safeLine(roomId)}: ${text}`, error.retryable ? 'warning' : 'bad');
    });
  }

  #unconnected(error: ConnectionError): void {
    const text = safeLine(this.state.words.trouble(error));
    const isUp = this.client.state === 'online';
    if (!error.retryable) this.quit(new Failure(text));
    else if (isUp) this.say(text, 'warning');
    else this.state.trouble = text;
    this.draw();
  }

  /** What is on the screen is read: before it is drawn, when it is the newest, so that it is never counted. */
  readonly #view = (size: Size) => {
    const { active, panel, isFocused } = this.state;
    // What was missed is looked at once it is all there.
    const isSeen = isFocused && !panel && active?.room !== undefined && active.room.state !== 'catching up';
    if (isSeen && active.anchor === undefined && active.joined?.history.isNewest) this.#read(active, active.room, active.room.position.seq);
    const composition = compose(this.state, size);
    this.#composition = composition;
    if (isSeen && composition.shown) this.#read(active, active.room, composition.shown.lastSeen);
    this.#nameWindow();
    this.reader.load(composition);
    return composition.frame;
  };

  #read(tab: Tab, room: Room, seq: number): void {
    if (seq <= tab.readTo) return;
    tab.readTo = seq;
    room.markRead(seq);
    this.#marks.write(room, seq);
  }

  #nameWindow(): void {
    const { tabs, active } = this.state;
    const unread = tabs.reduce((sum, tab) => sum + tab.news.count, 0);
    const mark = tabs.some((tab) => tab.news.mentions > 0) ? '@' : '';
    const title = `${unread > 0 ? `(${mark}${unread}) ` : ''}${active ? `#${safeLine(active.id)} — ` : ''}Engawa`;
    if (title !== this.#title) this.#screen?.title(title);
    this.#title = title;
  }

  #keepRooms(): void {
    this.#profile.rooms.write({ open: this.state.tabs.map(({ id }) => id), active: this.state.active?.id });
  }
}
