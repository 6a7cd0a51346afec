// Handles keys: edits the input, runs actions, moves in panels and search results.
import { findCompletion } from '../commands/completion.ts';
import { MAX_LINE_LENGTH } from '../input/editor.ts';
import type { InputEvent } from '../screen/key.ts';
import type { App } from './app.ts';
import { actionForKey, type KeyAction } from './key-bindings.ts';
import { chosenIndex, roomChoices } from './room-choices.ts';
import { activeEditor, inputPurpose, isNameProblem, type State } from './state.ts';
import { Submitter } from './submitter.ts';
import type { Composing, Tab } from './tab.ts';
import { TuiCommandContext } from './tui-command-context.ts';

const WHEEL_ROWS = 3;
/** Actions that do not close the help or the member list. */
const ACTIONS_KEEPING_PANEL = new Set<KeyAction>([
  ...(['up', 'down', 'pageUp', 'pageDown', 'oldest', 'newest'] as const),
  ...(['roomList', 'redraw', 'suspend', 'escape', 'clear', 'end'] as const),
]);

export class KeyHandler {
  readonly #app: App;
  readonly #context: TuiCommandContext;
  readonly #submitter: Submitter;
  /** Whether the last key was Ctrl+C. */
  #isQuitting = false;
  /** The input that Ctrl+C cleared. A second Ctrl+C quits, and must save the input as a draft. */
  #clearedInput: { tab: Tab; text: string; composing: Composing | undefined } | undefined;

  constructor(app: App) {
    this.#app = app;
    this.#context = new TuiCommandContext(app);
    this.#submitter = new Submitter(app, this.#context);
  }

  handle(key: InputEvent): void {
    if (key.kind === 'focus') {
      this.#app.focus(key.isFocused);
      return;
    }
    if (key.kind === 'mouse') {
      this.#handleMouse(key);
      return;
    }
    this.#dispatch(key, actionForKey(key));
    const { active } = this.#app.state;
    if (active) this.#app.drafts.save(active);
    this.#app.draw();
  }

  #dispatch(key: InputEvent, action: KeyAction | undefined): void {
    if (this.#answerNotice(key, action) || this.#closePanel(action)) return;
    if (action !== 'complete' && action !== 'completeBack' && action !== 'escape') this.#app.state.completion = undefined;
    const isHandled = (key.kind === 'text' && this.#handleLetter(key.text)) || (action !== undefined && this.#perform(action));
    if (!isHandled) this.#editText(key);
    if (action === 'clear') return;
    this.#isQuitting = false;
    this.#clearedInput = undefined;
  }

  /** Answers a pending confirmation. Returns true if the key has no other effect. */
  #answerNotice(key: InputEvent, action: KeyAction | undefined): boolean {
    const { state } = this.#app;
    const { notice } = state;
    state.notice = undefined;
    if (!notice?.onConfirm) return false;
    if (key.kind === 'text' && notice.typedLetter !== undefined) activeEditor(state).insert(notice.typedLetter);
    if (action !== 'send' && action !== 'escape') return false;
    if (action === 'send') notice.onConfirm();
    return true;
  }

  /** Closes help and member list before typing, so that the input is visible. Returns true if the key has no other effect. */
  #closePanel(action: KeyAction | undefined): boolean {
    const { state } = this.#app;
    if (!state.panel || state.panel.kind === 'rooms' || (action !== undefined && ACTIONS_KEEPING_PANEL.has(action))) return false;
    state.panel = undefined;
    return action === 'send';
  }

  #handleMouse({ action, position }: Extract<InputEvent, { kind: 'mouse' }>): void {
    if (action === 'wheel-up' || action === 'wheel-down') {
      const rows = action === 'wheel-up' ? WHEEL_ROWS : -WHEEL_ROWS;
      if (position.column < (this.#app.composition?.list.columns ?? 0)) this.#app.scrollList(-rows);
      else if (!this.#moveChoice(-rows)) this.#app.scroll(rows);
      this.#app.draw();
      return;
    }
    if (action !== 'press') return;
    // A click cancels a pending confirmation.
    this.#app.state.notice = undefined;
    const target = this.#app.composition?.targetAt(position.column, position.row);
    if (target?.kind === 'tab') this.#app.activate(target.tab);
    if (target?.kind === 'chat') this.#context.toggleSelection(target.key);
    if (target?.kind === 'room') this.#submitter.join(target.roomId);
  }

  /** Single letters act on a chat that was selected by keys, if the input is empty. */
  #handleLetter(letter: string): boolean {
    const { active } = this.#app.state;
    if (!active?.takesLetters || active.selected === undefined || !this.#isInputEmpty(active)) return false;
    const command = { r: 'reply', e: 'edit', d: 'delete', c: 'copy' }[letter];
    if (command !== undefined) this.#submitter.runCommand(`/${command}`);
    else if (letter === '+') active.editor.setText('/react :');
    else return false;
    const { notice } = this.#app.state;
    if (notice?.onConfirm) notice.typedLetter = letter;
    return true;
  }

  /** Whether the input is empty and no reply or edit is in progress. */
  #isInputEmpty({ editor, composing }: Tab): boolean {
    return inputPurpose(this.#app.state) === 'chat' && editor.text === '' && composing === undefined;
  }

  /** Returns false if the key belongs to the editor. */
  #perform(action: KeyAction): boolean {
    const { state } = this.#app;
    const isEmpty = activeEditor(state).text === '';
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
        if (!this.#moveChoice(-page)) this.#app.scroll(page);
        return true;
      case 'pageDown':
        if (!this.#moveChoice(page)) this.#app.scroll(-page);
        return true;
      case 'editor':
        if (inputPurpose(state) === 'chat') this.#context.openEditor('');
        return true;
      case 'goToRoom':
        this.#app.showRooms();
        return true;
      case 'oldest':
        if (this.#scrollPanel(Number.POSITIVE_INFINITY)) return true;
        if (isEmpty) void this.#app.scroller.scrollToOldest();
        return isEmpty;
      case 'newest':
        if (this.#scrollPanel(Number.NEGATIVE_INFINITY)) return true;
        if (isEmpty) this.#app.scroller.scrollToNewest({ whole: true });
        return isEmpty;
      case 'selectOlder':
        this.#context.moveSelection(-1);
        return true;
      case 'selectNewer':
        this.#context.moveSelection(1);
        return true;
      case 'up':
        return this.#moveChoice(-1) || this.#scrollPanel(1) || this.#moveInSearch(1) || this.#editLast();
      case 'down':
        return this.#moveChoice(1) || this.#scrollPanel(-1) || this.#moveInSearch(-1);
      case 'roomList':
        state.isRoomListShown = !(state.isRoomListShown ?? (this.#app.composition?.list.columns ?? 0) > 0);
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
        this.#clearOrQuit();
        return true;
      case 'end':
        if (isEmpty) this.#app.quit();
        return isEmpty;
      default:
        return false;
    }
  }

  #editText(key: InputEvent): void {
    const { state } = this.#app;
    const editor = activeEditor(state);
    const before = editor.text;
    const isInserted =
      key.kind === 'text' ? editor.insert(key.text) : key.kind === 'paste' ? !key.isTruncated && editor.paste(key.text) : true;
    if (!isInserted) this.#context.warn(this.#context.messages.noSpace(MAX_LINE_LENGTH));
    if (key.kind === 'key') editor.handleKey(key);
    if (editor.text === before) return;
    if (state.panel?.kind === 'rooms') state.panel.chosen = undefined;
    if (key.kind !== 'paste') this.#updateCompletion();
    if (inputPurpose(state) !== 'chat' || !state.active) return;
    if (editor.text !== '' && !editor.text.startsWith('/')) state.active.room?.typing();
    else state.active.room?.stopTyping();
  }

  /** Moves in the room chooser. */
  #moveChoice(by: number): boolean {
    const { state } = this.#app;
    if (state.panel?.kind !== 'rooms') return false;
    const choices = roomChoices(state);
    const choice = choices[Math.max(0, Math.min(chosenIndex(choices, state) + by, choices.length - 1))];
    state.panel.chosen = choice && { roomId: choice.roomId, isNew: choice.isNew ?? false };
    return true;
  }

  /** Scrolls the help or member list up by rows; down if negative. */
  #scrollPanel(by: number): boolean {
    const { panel } = this.#app.state;
    if (!panel || panel.kind === 'rooms') return false;
    this.#app.scroll(by);
    return true;
  }

  /** With an empty input, moves to another search result. */
  #moveInSearch(by: 1 | -1): boolean {
    const { active } = this.#app.state;
    if (!active?.search || !this.#isInputEmpty(active)) return false;
    this.#context.moveInSearch(by);
    return true;
  }

  /** With an empty input, edits the newest own chat; the next time it moves in the input history. */
  #editLast(): boolean {
    const { active } = this.#app.state;
    if (!active?.room || inputPurpose(this.#app.state) !== 'chat') return false;
    const { composing, editor } = active;
    if (composing?.kind === 'edit' && editor.text === composing.chat.message) {
      this.#context.cancelComposing();
      return false;
    }
    if (editor.text !== '' || composing) return false;
    active.selected = undefined;
    const chat = this.#context.targetChat('mine');
    if (!chat) return false;
    this.#context.compose('edit', chat);
    return true;
  }

  #complete(by: 1 | -1): boolean {
    const { state } = this.#app;
    const editor = activeEditor(state);
    if (inputPurpose(state) !== 'chat') return true;
    state.completion ??= this.#findCompletion();
    if (!state.completion) return true;
    const { options, at, start } = state.completion;
    const next = at === undefined ? (by > 0 ? 0 : options.length - 1) : (at + by + options.length) % options.length;
    editor.replaceBeforeCursor(editor.textBeforeCursor.length - start, options[next]?.insertText ?? '');
    state.completion = options.length > 1 ? { ...state.completion, at: next } : undefined;
    return true;
  }

  /** Updates the completion list after each key. */
  #updateCompletion(): void {
    const { state } = this.#app;
    if (inputPurpose(state) !== 'chat') return;
    const completion = this.#findCompletion();
    state.completion = completion?.isAutomatic ? completion : undefined;
  }

  #findCompletion(): State['completion'] {
    const { state } = this.#app;
    const rooms = state.tabs.map(({ id }) => id);
    const completion = findCompletion(activeEditor(state).textBeforeCursor, {
      rooms,
      namesStartingWith: (start) => this.#namesStartingWith(start),
    });
    return completion && { ...completion, at: undefined };
  }

  /** The user's own name comes last. */
  #namesStartingWith(start: string): string[] {
    const { active } = this.#app.state;
    const names = active?.names.startingWith(start) ?? [];
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
    else if (active && isNameProblem(active.problem?.code)) this.#app.close(active);
    else if (active?.composing) this.#context.cancelComposing();
    else if (active?.selected !== undefined || active?.search) Object.assign(active, { selected: undefined, search: undefined });
    else this.#app.scroller.scrollToNewest({ whole: true });
  }

  #clearOrQuit(): void {
    const { active } = this.#app.state;
    const editor = activeEditor(this.#app.state);
    if (this.#isQuitting) {
      this.#restoreCleared();
      this.#app.quit();
      return;
    }
    if (editor.text !== '' && editor === active?.editor)
      this.#clearedInput = { tab: active, text: editor.text, composing: active.composing };
    if (editor.text === '') this.#context.info(this.#context.messages.quitAgain);
    else editor.submit();
    this.#context.cancelComposing();
    this.#isQuitting = editor.text === '' && this.#app.state.notice !== undefined;
  }

  #restoreCleared(): void {
    if (!this.#clearedInput) return;
    const { tab, text, composing } = this.#clearedInput;
    tab.editor.setText(text);
    tab.composing = composing;
    this.#app.drafts.save(tab);
  }
}
