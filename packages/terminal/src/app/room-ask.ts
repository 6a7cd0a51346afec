import type { Client } from '@engawa/client';
import { safeLine } from '../text/safe.ts';
import type { Panel, State } from './state.ts';
import type { Tab } from './tab.ts';

const AGAIN_MS = 1_000;
/** While rooms are chosen from. */
const ROOMS_AGAIN_MS = 3_000;
const MOST = 500;

/** What panels show that has to be asked for: the rooms of the server, and who is in a room. */
export class RoomAsk {
  readonly #client: Client;
  readonly #state: State;
  readonly #changed: () => void;
  #again: ReturnType<typeof setTimeout> | undefined;
  #roomsAgain: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, state: State, changed: () => void) {
    this.#client = client;
    this.#state = state;
    this.#changed = changed;
  }

  showRooms(): void {
    const panel: Panel = { kind: 'rooms', scroll: 0 };
    this.#state.field.replace('');
    this.#open(panel);
    void this.#askRooms(panel);
  }

  showWho(): void {
    const { active } = this.#state;
    if (!active?.room) return;
    const panel: Panel = { kind: 'who', scroll: 0, count: active.room.members, more: false };
    this.#open(panel);
    void this.#askMembers(panel, active);
  }

  /** Somebody came or went: who looks at the list sees it, once a second at most. */
  changed(tab: Tab): void {
    const { panel, active } = this.#state;
    if (panel?.kind !== 'who' || tab !== active) return;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      if (this.#state.panel === panel && this.#state.active === tab) void this.#askMembers(panel, tab);
    }, AGAIN_MS);
  }

  close(): void {
    clearTimeout(this.#again);
    clearTimeout(this.#roomsAgain);
  }

  #open(panel: Panel): void {
    this.#state.panel = panel;
    this.#state.completion = undefined;
    this.#changed();
  }

  async #askRooms(panel: Extract<Panel, { kind: 'rooms' }>): Promise<void> {
    clearTimeout(this.#roomsAgain);
    const answer = await this.#client.listRooms({ limit: MOST });
    if (this.#state.panel !== panel) return;
    if (answer.ok) panel.rooms = answer.rooms;
    else if (answer.error.code !== 'closed') this.#state.notice = { text: safeLine(this.#state.words.refusal(answer.error)), ink: 'bad' };
    if (this.#client.state !== 'closed') this.#roomsAgain = setTimeout(() => void this.#askRooms(panel), ROOMS_AGAIN_MS);
    this.#changed();
  }

  async #askMembers(panel: Extract<Panel, { kind: 'who' }>, { room, names }: Tab): Promise<void> {
    const answer = await room?.listMembers({ limit: MOST });
    if (!answer) return;
    if (answer.ok) {
      for (const { username } of answer.members) names.seen(username);
      Object.assign(panel, { members: answer.members, count: answer.count, more: answer.more });
    } else this.#state.notice = { text: safeLine(this.#state.words.refusal(answer.error)), ink: 'bad' };
    this.#changed();
  }
}
