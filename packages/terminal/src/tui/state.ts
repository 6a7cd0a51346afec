// The state of the full-screen client that the views draw.
import type { Client } from '@engawa/client';
import type { Completion } from '../commands/completion.ts';
import type { Messages } from '../i18n/messages.ts';
import type { Editor } from '../input/editor.ts';
import type { Color } from '../text/styled-span.ts';
import type { Tab } from './tab.ts';

/** A member at the time of the query. */
interface PanelMember {
  username: string;
  role: 'owner' | 'member';
  presence: 'online' | 'away' | 'offline';
}

export interface ListedRoom {
  roomId: string;
  topic: string;
  members: number;
  /** Time of the newest entry, by the clock of the server. */
  at: number;
}

/** An overlay on the timeline. */
export type Panel =
  | { kind: 'help'; scroll: number }
  | { kind: 'who'; scroll: number; members?: readonly PanelMember[]; count: number; hasMore: boolean }
  | {
      kind: 'rooms';
      scroll: number;
      rooms?: readonly ListedRoom[] /** By default the first one. */;
      chosen?: { roomId: string; isNew: boolean } | undefined;
    };

/** A message to the user, shown until the next key. */
interface Notice {
  text: string;
  color: Color;
  /** If set, the notice asks for confirmation: Enter calls it, any other key cancels. */
  onConfirm?: () => void;
  /** The letter that opened the confirmation: it is inserted as text if more text follows. */
  typedLetter?: string;
}

/** The state that the SDK does not have. Views only read it. */
export interface State {
  readonly messages: Messages;
  readonly client: Pick<Client, 'state'>;
  readonly server: string;
  /** The name for joining rooms. */
  username: string;
  /** In list order. */
  tabs: Tab[];
  active: Tab | undefined;
  panel: Panel | undefined;
  /** Input that is not a chat: a room to join, or another name. */
  readonly prompt: Editor;
  notice: Notice | undefined;
  /** Why there is no connection, with the address and advice. */
  connectionError: string | undefined;
  completion: (Completion & { at: number | undefined }) | undefined;
  /** Whether the terminal window has the focus. */
  isFocused: boolean;
  /** Whether the room list is shown; undefined decides by the screen width. */
  isRoomListShown: boolean | undefined;
  /** Number of rooms scrolled out at the top of the room list; undefined keeps the active room visible. */
  listFirst: number | undefined;
  /** Since when the connection is lost, once that is reported: short drops are not. */
  offlineSince: number | undefined;
}

/** What the input is for. */
export type InputPurpose = 'chat' | 'room' | 'name';

export function inputPurpose({ panel, active }: State): InputPurpose {
  if (panel?.kind === 'rooms') return 'room';
  return isNameProblem(active?.problem?.code) ? 'name' : 'chat';
}

/** Whether another name may solve the problem. */
export const isNameProblem = (code: string | undefined): boolean => code === 'name_taken' || code === 'name_confusable';

export const activeEditor = (state: State): Editor =>
  inputPurpose(state) === 'chat' ? (state.active?.editor ?? state.prompt) : state.prompt;
