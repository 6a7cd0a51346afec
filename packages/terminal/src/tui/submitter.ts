// Handles Enter: sends a chat, runs a command, joins a room or takes another name.
import { CHAT_TEXT, fitsLimit } from '@engawa/protocol/text';
import { type ParsedInput, parseInput } from '../commands/slash-commands.ts';
import { codePointLength } from '../text/length.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { splitIntoChats } from '../view-model/split-long-text.ts';
import type { App } from './app.ts';
import { chosenIndex, roomChoices } from './room-choices.ts';
import { activeEditor, inputPurpose } from './state.ts';
import type { Composing, Tab } from './tab.ts';
import type { TuiCommandContext } from './tui-command-context.ts';

export class Submitter {
  readonly #app: App;
  readonly #context: TuiCommandContext;

  constructor(app: App, context: TuiCommandContext) {
    this.#app = app;
    this.#context = context;
  }

  submit(): void {
    const { state } = this.#app;
    const purpose = inputPurpose(state);
    if (purpose === 'room') this.#submitRoom();
    else if (purpose === 'name') this.#submitName();
    else this.#submitLine();
  }

  /** Runs a command as if it had been typed. */
  runCommand(text: string): void {
    this.#execute(parseInput(text));
  }

  /** Joins a room and clears what was typed to find it. */
  join(roomId: string): void {
    if (roomId === '') return;
    this.#app.state.prompt.submit();
    this.#app.join(roomId);
  }

  #submitRoom(): void {
    const { prompt } = this.#app.state;
    const input = parseInput(prompt.text);
    if (input.kind === 'chat') this.join(this.#chosenRoom());
    else {
      if (input.kind === 'command') prompt.submit();
      this.#execute(input);
    }
  }

  #submitLine(): void {
    const { state } = this.#app;
    const { active } = state;
    const editor = activeEditor(state);
    if (editor.text === '' && this.#context.goToReplyTarget()) return;
    if (editor.text.trim() === '') return;
    if (active?.composing?.kind === 'edit') {
      this.#submitEdit(active, active.composing);
      return;
    }
    const input = parseInput(trimEndNewlines(editor.text));
    if (input.kind === 'chat') this.#send(input.text, active?.composing?.chat.seq);
    // An unknown command stays in the input, so that the user can correct it.
    else if (input.kind === 'unknown') this.#execute(input);
    else if (this.#fitsOneChat(input.rest)) {
      editor.submit();
      this.#execute(input);
    }
  }

  #execute(input: ParsedInput): void {
    const { messages } = this.#context;
    if (input.kind === 'unknown') this.#context.warn(messages.unknownCommand(sanitizeLine(input.name), input.suggestion));
    if (input.kind !== 'command') return;
    const { command, rest } = input;
    if (command.needsRoom && !this.#context.room) this.#context.warn(messages.needsRoom);
    else void command.run(this.#context, rest);
  }

  /** Text that cannot be sent stays in the input. Text for several chats needs confirmation. */
  #send(text: string, replyTo?: number): void {
    const { active } = this.#app.state;
    const { messages } = this.#context;
    if (!active?.room) this.#context.warn(active ? messages.notYetSent : messages.needsRoom);
    else if (active.problem) this.#context.warn(messages.endedHint);
    else {
      const chats = splitIntoChats(text);
      const send = () => this.#sendAll(active, chats, replyTo);
      if (chats.length === 1) send();
      else this.#app.confirm(messages.confirmSplit(codePointLength(text), chats.length), send);
    }
  }

  /** Only the first chat is the reply. Chats that do not fit the outbox stay in the input. */
  #sendAll(tab: Tab, chats: readonly string[], replyTo: number | undefined): void {
    for (const [at, text] of chats.entries()) {
      const outgoing = tab.room?.send(text, at > 0 || replyTo === undefined ? {} : { replyTo });
      if (outgoing?.state !== 'failed') continue;
      if (at > 0) tab.editor.setText(chats.slice(at).join('\n'));
      this.#context.warn(sanitizeLine(this.#context.messages.refusal(outgoing.error)));
      return;
    }
    tab.editor.submit();
    Object.assign(tab, { newAfter: undefined, selected: undefined, search: undefined, composing: undefined });
    this.#app.scroller.scrollToNewest({ whole: true });
  }

  #submitEdit(tab: Tab, { chat, draft }: Composing): void {
    const { editor } = tab;
    const text = trimEndNewlines(editor.text);
    if (!this.#fitsOneChat(text)) return;
    tab.composing = undefined;
    tab.selected = undefined;
    editor.submit();
    editor.setText(draft);
    if (text !== chat.message) void this.#edit(tab, chat.seq, text);
  }

  /** Returns false, and leaves the input, if the text does not fit one chat. */
  #fitsOneChat(text: string): boolean {
    const isShort = fitsLimit(text, CHAT_TEXT);
    if (!isShort) this.#context.warn(this.#context.messages.mustFitOneChat(codePointLength(text)));
    return isShort;
  }

  /** Reports a refusal; the text is in the input history. */
  async #edit({ room }: Tab, seq: number, text: string): Promise<void> {
    const answer = await room?.edit(seq, text);
    if (answer && !answer.ok)
      this.#context.warn(this.#context.messages.actionRefused(sanitizeLine(this.#context.messages.refusal(answer.error))));
  }

  #submitName(): void {
    const { active, prompt } = this.#app.state;
    const name = prompt.text.trim();
    if (!active || name === '') return;
    prompt.submit();
    this.#app.joinAs(active, name);
  }

  #chosenRoom(): string {
    const { state } = this.#app;
    const choices = roomChoices(state);
    return choices[chosenIndex(choices, state)]?.roomId ?? '';
  }
}

/** Pasted text often ends with a line break, which would become an empty row. */
const trimEndNewlines = (text: string): string => text.replace(/\n+$/, '');
