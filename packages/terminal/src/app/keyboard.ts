import { LONGEST_LINE } from '../input/editor.ts';
import type { Key } from '../screen/key.ts';
import type { App } from './app.ts';
import { completionOf } from './completion.ts';
import { AppHost } from './host.ts';
import { type Action, actionOf } from './keys.ts';

import { choicesOf, chosenIn } from './room-choices.ts';
import { asksForName, editorOf, purposeOf, type State } from './state.ts';

import { Submitter } from './submitter.ts';
import type { Composing, Tab } from './tab.ts';

const WHEEL_ROWS = 3;
/** What is done while help, or who is here, stays open. */
const WITH_PANEL = new Set<Action>([
  ...(['up', 'down', 'pageUp', 'pageDown', 'oldest', 'newest'] as const),
  ...(['roomList', 'redraw', 'suspend', 'escape', 'clear', 'end'] as const),
]);

/** What somebody does at the terminal, as what it does to the app. */
export class Keyboard {
  readonly #app: App;
  readonly #host: AppHost;
  readonly #submitter: Submitter;
  /** Ctrl+C was the last key. */
  #isQuitting = false;
  /** What Ctrl+C cleared, while no other key came: who quits by it wants to quit, and not to lose it. */
  #cleared: { tab: Tab; text: string; composing: Composing | undefined } | undefined;

  constructor(app: App) {
    this.#app = app;
    this.#host = new AppHost(app);
    this.#submitter = new Submitter(app, this.#host);
  }

  press(key: Key): void {
    if (key.kind === 'focus') {
      this.#app.focus(key.focused);
      return;
    }
    if (key.kind === 'mouse') {
      this.#mouse(key);
      return;
    }
    this.#press(key, actionOf(key));
    const { active } = this.#app.state;
    if (active) this.#app.drafts.keep(active);
    this.#app.draw();
  }

  #press(key: Key, action: Action | undefined): void {
    if (this.#answer(key, action) || this.#closePanel(action)) return;
    if (action !== 'complete' && action !== 'completeBack' && action !== 'escape') this.#app.state.completion = undefined;
    const isDone = (key.kind === 'text' && this.#letter(key.text)) || (action !== undefined && this.#act(action));
    if (!isDone) this.#type(key);
    if (action === 'clear') return;
    this.#isQuitting = false;
    this.#cleared = undefined;
  }

  /** To a question, when there is one. True when the key meant no more than that. */
  #answer(key: Key, action: Action | undefined): boolean {
    const { state } = this.#app;
    const { notice } = state;
    state.notice = undefined;
    if (!notice?.confirm) return false;
    if (key.kind === 'text' && notice.typed !== undefined) editorOf(state).insert(notice.typed);
    if (action !== 'send' && action !== 'escape') return false;
    if (action === 'send') notice.confirm();
    return true;
  }

  /** What is typed is seen: help, and who is here, do not stay over it. True when the key meant no more than that. */
  #closePanel(action: Action | undefined): boolean {
    const { state } = this.#app;
    if (!state.panel || state.panel.kind === 'rooms' || (action !== undefined && WITH_PANEL.has(action))) return false;
    state.panel = undefined;
    return action === 'send';
  }

  #mouse({ action, at }: Extract<Key, { kind: 'mouse' }>): void {
    if (action === 'wheel-up' || action === 'wheel-down') {
      const rows = action === 'wheel-up' ? WHEEL_ROWS : -WHEEL_ROWS;
      if (at.column < (this.#app.composition?.list.columns ?? 0)) this.#app.scrollList(-rows);
      else if (!this.#choose(-rows)) this.#app.scroll(rows);
      this.#app.draw();
      return;
    }
    if (action !== 'press') return;
    // Who clicks on something else is not asked any more.
    this.#app.state.notice = undefined;
    const target = this.#app.composition?.targetAt(at.column, at.row);
    if (target?.kind === 'tab') this.#app.activate(target.tab);
    if (target?.kind === 'chat') this.#host.selectKey(target.key);
    if (target?.kind === 'room') this.#submitter.join(target.roomId);
  }

  /** What single letters do, in an empty line, to a chat that was selected by keys. */
  #letter(letter: string): boolean {
    const { active } = this.#app.state;
    if (!active?.takesLetters || active.selected === undefined || !this.#isIdle(active)) return false;
    const command = { r: 'reply', e: 'edit', d: 'delete', c: 'copy' }[letter];
    if (command !== undefined) this.#submitter.run(`/${command}`);
    else if (letter === '+') active.editor.replace('/react :');
    else return false;
    const { notice } = this.#app.state;
    if (notice?.confirm) notice.typed = letter;
    return true;
  }

  /** Nothing is typed, nor being answered or edited. */
  #isIdle({ editor, composing }: Tab): boolean {
    return purposeOf(this.#app.state) === 'chat' && editor.text === '' && composing === undefined;
  }

  /** False when the key is for the text. */
  #act(action: Action): boolean {
    const { state } = this.#app;
    const isEmpty = editorOf(state).text === '';
    const page = Math.max(1, this.#app.size.rows - 6);
    if (action.startsWith('room') && action !== 'roomList') return this.#switchTo(state.tabs[Number(action.slice(4))]);
    switch (action) {
      case 'send':
        this.#submitter.submit();
        return true;
      case 'complete':
        return this.#complete(1);
      case 'completeBack':
        return this.#complete(-1);
      case 'nextRoom':
        return this.#switchBy(1);
      case 'previousRoom':
        return this.#switchBy(-1);
      case 'nextUnread':
        this.#app.nextUnread();
        return true;
      case 'pageUp':
        if (!this.#choose(-page)) this.#app.scroll(page);
        return true;
      case 'pageDown':
        if (!this.#choose(page)) this.#app.scroll(-page);
        return true;
      case 'editor':
        if (purposeOf(state) === 'chat') this.#host.openEditor('');
        return true;
      case 'goToRoom':
        this.#app.showRooms();
        return true;
      case 'oldest':
        if (this.#scrollPanel(Number.POSITIVE_INFINITY)) return true;
        if (isEmpty) void this.#app.reader.toOldest();
        return isEmpty;
      case 'newest':
        if (this.#scrollPanel(Number.NEGATIVE_INFINITY)) return true;
        if (isEmpty) this.#app.reader.toNewest({ whole: true });
        return isEmpty;
      case 'selectOlder':
        this.#host.select(-1);
        return true;
      case 'selectNewer':
        this.#host.select(1);
        return true;
      case 'up':
        return this.#choose(-1) || this.#scrollPanel(1) || this.#searchOn(1) || this.#editLast();
      case 'down':
        return this.#choose(1) || this.#scrollPanel(-1) || this.#searchOn(-1);
      case 'roomList':
        state.listsRooms = !(state.listsRooms ?? (this.#app.composition?.list.columns ?? 0) > 0);
        return true;
      case 'redraw':
        this.#app.redraw();
        return true;
      case 'suspend':
        process.kill(process.pid, 'SIGTSTP');
        return true;
      case 'escape':
        this.#escape();
        return true;
      case 'clear':
        this.#clear();
        return true;
      case 'end':
        if (isEmpty) this.#app.quit();
        return isEmpty;
      default:
        return false;
    }
  }

  #type(key: Key): void {
    const { state } = this.#app;
    const editor = editorOf(state);
    const before = editor.text;
    const isTaken = key.kind === 'text' ? editor.insert(key.text) : key.kind === 'paste' ? !key.isCut && editor.paste(key.text) : true;
    if (!isTaken) this.#host.complain(this.#host.words.noSpace(LONGEST_LINE));
    if (key.kind === 'key') editor.takes(key);
    if (editor.text === before) return;
    if (state.panel?.kind === 'rooms') state.panel.chosen = undefined;
    if (key.kind !== 'paste') this.#offer();
    if (purposeOf(state) !== 'chat' || !state.active) return;
    if (editor.text !== '' && !editor.text.startsWith('/')) state.active.room?.typing();
    else state.active.room?.stopTyping();
  }

  /** In the list of rooms. */
  #choose(by: number): boolean {
    const { state } = this.#app;
    if (state.panel?.kind !== 'rooms') return false;
    const choices = choicesOf(state);
    const choice = choices[Math.max(0, Math.min(chosenIn(choices, state) + by, choices.length - 1))];
    state.panel.chosen = choice && { roomId: choice.roomId, isNew: choice.isNew ?? false };
    return true;
  }

  /** Rows up, or down when it is less than zero, of help or of who is here. */
  #scrollPanel(by: number): boolean {
    const { panel } = this.#app.state;
    if (!panel || panel.kind === 'rooms') return false;
    this.#app.scroll(by);
    return true;
  }

  /** In an empty line, to what else was found. */
  #searchOn(by: 1 | -1): boolean {
    const { active } = this.#app.state;
    if (!active?.search || !this.#isIdle(active)) return false;
    this.#host.searchOn(by);
    return true;
  }

  /** In an empty line the newest own chat; once more the history of what was typed. */
  #editLast(): boolean {
    const { active } = this.#app.state;
    if (!active?.room || purposeOf(this.#app.state) !== 'chat') return false;
    const { composing, editor } = active;
    if (composing?.kind === 'edit' && editor.text === composing.chat.message) {
      this.#host.escapeComposing();
      return false;
    }
    if (editor.text !== '' || composing) return false;
    active.selected = undefined;
    const chat = this.#host.target('mine');
    if (!chat) return false;
    this.#host.compose('edit', chat);
    return true;
  }

  #complete(by: 1 | -1): boolean {
    const { state } = this.#app;
    const editor = editorOf(state);
    if (purposeOf(state) !== 'chat') return true;
    state.completion ??= this.#completion();
    if (!state.completion) return true;
    const { options, at, start } = state.completion;
    const next = at === undefined ? (by > 0 ? 0 : options.length - 1) : (at + by + options.length) % options.length;
    editor.complete(editor.before.length - start, options[next]?.text ?? '');
    state.completion = options.length > 1 ? { ...state.completion, at: next } : undefined;
    return true;
  }

  /** What is typed may be completed: it is seen without a key. */
  #offer(): void {
    const { state } = this.#app;
    if (purposeOf(state) !== 'chat') return;
    const completion = this.#completion();
    state.completion = completion?.isOffered ? completion : undefined;
  }

  #completion(): State['completion'] {
    const { state } = this.#app;
    const rooms = state.tabs.map(({ id }) => id);
    const completion = completionOf(editorOf(state).before, { rooms, names: (start) => this.#namesBeginning(start) });
    return completion && { ...completion, at: undefined };
  }

  /** Oneself comes last. */
  #namesBeginning(start: string): string[] {
    const { active } = this.#app.state;
    const names = active?.names.beginning(start) ?? [];
    const isMe = (name: string) => name === active?.username;
    return [...names.filter((name) => !isMe(name)), ...names.filter(isMe)];
  }

  #switchTo(tab: Tab | undefined): boolean {
    if (tab) this.#app.activate(tab);
    return true;
  }

  #switchBy(by: 1 | -1): boolean {
    const { tabs, active } = this.#app.state;
    const at = active ? tabs.indexOf(active) : 0;
    return this.#switchTo(tabs[(at + by + tabs.length) % tabs.length]);
  }

  #escape(): void {
    const { state } = this.#app;
    const { active } = state;
    if (state.completion) state.completion = undefined;
    else if (state.panel && state.tabs.length > 0) state.panel = undefined;
    else if (active && asksForName(active.problem?.code)) this.#app.close(active);
    else if (active?.composing) this.#host.escapeComposing();
    else if (active?.selected !== undefined || active?.search) Object.assign(active, { selected: undefined, search: undefined });
    else this.#app.reader.toNewest({ whole: true });
  }

  #clear(): void {
    const { active } = this.#app.state;
    const editor = editorOf(this.#app.state);
    if (this.#isQuitting) {
      this.#restoreCleared();
      this.#app.quit();
      return;
    }
    if (editor.text !== '' && editor === active?.editor) this.#cleared = { tab: active, text: editor.text, composing: active.composing };
    if (editor.text === '') this.#host.say(this.#host.words.quitAgain);
    else editor.submit();
    this.#host.escapeComposing();
    this.#isQuitting = editor.text === '' && this.#app.state.notice !== undefined;
  }

  #restoreCleared(): void {
    if (!this.#cleared) return;
    const { tab, text, composing } = this.#cleared;
    tab.editor.replace(text);
    tab.composing = composing;
    this.#app.drafts.keep(tab);
  }
}
