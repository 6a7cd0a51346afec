import type { Client } from '@engawa/client';
import type { Completion } from '../commands/completion.ts';
import type { Messages } from '../i18n/messages.ts';
import type { Editor } from '../input/editor.ts';
import type { Color } from '../text/styled-span.ts';
import type { Tab } from './tab.ts';

/** Somebody who is here, as he was when it was asked. */
interface PanelMember {
  username: string;
  role: 'owner' | 'member';
  presence: 'online' | 'away' | 'gone';
}

export interface ListedRoom {
  roomId: string;
  topic: string;
  members: number;
  /** When the newest entry was added, by the server's clock. */
  at: number;
}

/** What is open over the timeline. */
export type Panel =
  | { kind: 'help'; scroll: number }
  | { kind: 'who'; scroll: number; members?: readonly PanelMember[]; count: number; more: boolean }
  | {
      kind: 'rooms';
      scroll: number;
      rooms?: readonly ListedRoom[] /** The first one, when nobody chose. */;
      chosen?: { roomId: string; isNew: boolean } | undefined;
    };

/** Said to the one at the screen, until the next key. */
interface Notice {
  text: string;
  color: Color;
  /** It is a question: Enter does this, and every other key is a no. */
  onConfirm?: () => void;
  /** The letter that led to the question: text after all, when text follows it. */
  typedLetter?: string;
}

/** What of the screen the SDK does not know. Views only read it. */
export interface State {
  readonly messages: Messages;
  readonly client: Pick<Client, 'state'>;
  readonly server: string;
  /** The name that is taken into rooms. */
  username: string;
  /** In the order in which they are listed. */
  tabs: Tab[];
  active: Tab | undefined;
  panel: Panel | undefined;
  /** What is typed where it is no chat: a room to join, another name. */
  readonly prompt: Editor;
  notice: Notice | undefined;
  /** Why there is no connection, with the address and what to do. */
  connectionError: string | undefined;
  completion: (Completion & { at: number | undefined }) | undefined;
  /** The terminal's window is the one that is looked at. */
  isFocused: boolean;
  /** Whether the rooms are listed; as there is room for them, when nobody chose. */
  isRoomListShown: boolean | undefined;
  /** How many rooms were scrolled out above the list of rooms; nothing while it shows the active one. */
  listFirst: number | undefined;
  /** Since when there is no connection, once it is told: a drop that is over soon is no reason to tell the time. */
  offlineSince: number | undefined;
}

/** What the line that is typed is for. */
export type InputPurpose = 'chat' | 'room' | 'name';

export function inputPurpose({ panel, active }: State): InputPurpose {
  if (panel?.kind === 'rooms') return 'room';
  return isNameProblem(active?.problem?.code) ? 'name' : 'chat';
}

/** Whether a refusal is of the name: another one may do. */
export const isNameProblem = (code: string | undefined): boolean => code === 'name_taken' || code === 'name_confusable';

export const activeEditor = (state: State): Editor =>
  inputPurpose(state) === 'chat' ? (state.active?.editor ?? state.prompt) : state.prompt;
