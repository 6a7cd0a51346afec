// Loads the data of panels: the room list and the member list.
import type { Client } from '@engawa/client';
import { sanitizeLine } from '../text/sanitize.ts';
import type { Panel, State } from './state.ts';
import type { Tab } from './tab.ts';

const MEMBERS_REFRESH_MS = 1_000;
/** Refresh interval while the room chooser is open. */
const ROOMS_REFRESH_MS = 3_000;
const MAX_ITEMS = 500;

export class PanelLoader {
  readonly #client: Client;
  readonly #state: State;
  readonly #onChange: () => void;
  #membersTimer: ReturnType<typeof setTimeout> | undefined;
  #roomsTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, state: State, onMembersChanged: () => void) {
    this.#client = client;
    this.#state = state;
    this.#onChange = onMembersChanged;
  }

  showRooms(): void {
    const panel: Panel = { kind: 'rooms', scroll: 0 };
    this.#state.prompt.setText('');
    this.#openPanel(panel);
    void this.#loadRooms(panel);
  }

  showMembers(): void {
    const { active } = this.#state;
    if (!active?.room) return;
    const panel: Panel = { kind: 'who', scroll: 0, count: active.room.members, hasMore: false };
    this.#openPanel(panel);
    void this.#loadMembers(panel, active);
  }

  /** Refreshes the member list after a join or leave, at most once a second. */
  onMembersChanged(tab: Tab): void {
    const { panel, active } = this.#state;
    if (panel?.kind !== 'who' || tab !== active) return;
    this.#membersTimer ??= setTimeout(() => {
      this.#membersTimer = undefined;
      if (this.#state.panel === panel && this.#state.active === tab) void this.#loadMembers(panel, tab);
    }, MEMBERS_REFRESH_MS);
  }

  close(): void {
    clearTimeout(this.#membersTimer);
    clearTimeout(this.#roomsTimer);
  }

  #openPanel(panel: Panel): void {
    this.#state.panel = panel;
    this.#state.completion = undefined;
    this.#onChange();
  }

  async #loadRooms(panel: Extract<Panel, { kind: 'rooms' }>): Promise<void> {
    clearTimeout(this.#roomsTimer);
    const answer = await this.#client.listRooms({ limit: MAX_ITEMS });
    if (this.#state.panel !== panel) return;
    if (answer.ok) panel.rooms = answer.rooms;
    else if (answer.error.code !== 'closed')
      this.#state.notice = { text: sanitizeLine(this.#state.messages.refusal(answer.error)), color: 'bad' };
    if (this.#client.state !== 'closed') this.#roomsTimer = setTimeout(() => void this.#loadRooms(panel), ROOMS_REFRESH_MS);
    this.#onChange();
  }

  async #loadMembers(panel: Extract<Panel, { kind: 'who' }>, { room, names }: Tab): Promise<void> {
    const answer = await room?.listMembers({ limit: MAX_ITEMS });
    if (!answer) return;
    if (answer.ok) {
      for (const { username } of answer.members) names.recordActivity(username);
      Object.assign(panel, { members: answer.members, count: answer.count, hasMore: answer.hasMore });
    } else this.#state.notice = { text: sanitizeLine(this.#state.messages.refusal(answer.error)), color: 'bad' };
    this.#onChange();
  }
}
