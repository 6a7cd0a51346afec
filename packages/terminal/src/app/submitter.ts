/** What Enter does with what is typed: a chat, a command, a room to join, another name. */
import { CHAT_TEXT, fits } from '@engawa/protocol/text';
import { lengthOf } from '../text/length.ts';
import { safeLine } from '../text/safe.ts';
import type { App } from './app.ts';
import { read, type Typed } from './commands.ts';
import type { AppHost } from './host.ts';
import { chatsOf } from './long-text.ts';
import { choicesOf, chosenIn } from './room-choices.ts';
import { editorOf, purposeOf } from './state.ts';
import type { Composing, Tab } from './tab.ts';

export class Submitter {
  readonly #app: App;
  readonly #host: AppHost;

  constructor(app: App, host: AppHost) {
    this.#app = app;
    this.#host = host;
  }

  submit(): void {
    const { state } = this.#app;
    const purpose = purposeOf(state);
    if (purpose === 'room') this.#submitRoom();
    else if (purpose === 'name') this.#takeName();
    else this.#submitLine();
  }

  /** A command, as if it had been typed. */
  run(text: string): void {
    this.#obey(read(text));
  }

  /** Whatever was typed to find it. */
  join(roomId: string): void {
    if (roomId === '') return;
    this.#app.state.field.submit();
    this.#app.join(roomId);
  }

  #submitRoom(): void {
    const { field } = this.#app.state;
    const typed = read(field.text);
    if (typed.kind === 'chat') this.join(this.#chosenRoom());
    else {
      if (typed.kind === 'command') field.submit();
      this.#obey(typed);
    }
  }

  #submitLine(): void {
    const { state } = this.#app;
    const { active } = state;
    const editor = editorOf(state);
    if (editor.text === '' && this.#host.goToAnswered()) return;
    if (editor.text.trim() === '') return;
    if (active?.composing?.kind === 'edit') {
      this.#submitEdit(active, active.composing);
      return;
    }
    const typed = read(withoutEnd(editor.text));
    if (typed.kind === 'chat') this.#send(typed.text, active?.composing?.chat.seq);
    // What is no command stays, to be put right.
    else if (typed.kind === 'unknown') this.#obey(typed);
    else if (this.#fitsOne(typed.rest)) {
      editor.submit();
      this.#obey(typed);
    }
  }

  #obey(typed: Typed): void {
    const { words } = this.#host;
    if (typed.kind === 'unknown') this.#host.complain(words.unknownCommand(safeLine(typed.name), typed.nearest));
    if (typed.kind !== 'command') return;
    const { command, rest } = typed;
    if (command.needsRoom && !this.#host.room) this.#host.complain(words.needsRoom);
    else void command.run(this.#host, rest);
  }

  /** What cannot be sent stays where it was typed; what takes several chats is sent once that is confirmed. */
  #send(text: string, replyTo?: number): void {
    const { active } = this.#app.state;
    const { words } = this.#host;
    if (!active?.room) this.#host.complain(active ? words.notYetSent : words.needsRoom);
    else if (active.problem) this.#host.complain(words.endedHint);
    else {
      const chats = chatsOf(text);
      const send = () => this.#sendAll(active, chats, replyTo);
      if (chats.length === 1) send();
      else this.#app.ask(words.splits(lengthOf(text), chats.length), send);
    }
  }

  /** Only the first of them is the answer. What the outbox has no room for stays in the line. */
  #sendAll(tab: Tab, chats: readonly string[], replyTo: number | undefined): void {
    for (const [at, text] of chats.entries()) {
      const sent = tab.room?.send(text, at > 0 || replyTo === undefined ? {} : { replyTo });
      if (sent?.state !== 'failed') continue;
      if (at > 0) tab.editor.replace(chats.slice(at).join('\n'));
      this.#host.complain(safeLine(this.#host.words.refusal(sent.error)));
      return;
    }
    tab.editor.submit();
    Object.assign(tab, { newAfter: undefined, selected: undefined, search: undefined, composing: undefined });
    this.#app.reader.toNewest({ whole: true });
  }

  #submitEdit(tab: Tab, { chat, draft }: Composing): void {
    const { editor } = tab;
    const text = withoutEnd(editor.text);
    if (!this.#fitsOne(text)) return;
    tab.composing = undefined;
    tab.selected = undefined;
    editor.submit();
    editor.replace(draft);
    if (text !== chat.message) void this.#edit(tab, chat.seq, text);
  }

  /** What has to be one chat stays in the line until it is. */
  #fitsOne(text: string): boolean {
    const isShort = fits(text, CHAT_TEXT);
    if (!isShort) this.#host.complain(this.#host.words.hasToFit(lengthOf(text)));
    return isShort;
  }

  /** Told when it is refused; the text is in the history of what was typed. */
  async #edit({ room }: Tab, seq: number, text: string): Promise<void> {
    const answer = await room?.edit(seq, text);
    if (answer && !answer.ok) this.#host.complain(this.#host.words.notDone(safeLine(this.#host.words.refusal(answer.error))));
  }

  #takeName(): void {
    const { active, field } = this.#app.state;
    const name = field.text.trim();
    if (!active || name === '') return;
    field.submit();
    this.#app.joinAs(active, name);
  }

  #chosenRoom(): string {
    const { state } = this.#app;
    const choices = choicesOf(state);
    return choices[chosenIn(choices, state)]?.roomId ?? '';
  }
}

/** What is pasted mostly ends with a line break, which would be an empty row of the chat. */
const withoutEnd = (text: string): string => text.replace(/\n+$/, '');
