// Notification settings of a room: bell mode and mute.

import { RoomStore } from '@engawa/chat-view';
import type { ClientStorage } from '@engawa/client';

const SAVE_DELAY_MS = 250;

/** The bell rings for each chat of others, only for mentions, or never. */
export const BELL_MODES = ['all', 'mentions', 'off'] as const;
export type BellMode = (typeof BELL_MODES)[number];

export interface Alerts {
  bell: BellMode;
  /** A muted room never rings, and only mentions count as unread. */
  isMuted: boolean;
}

export const DEFAULT_ALERTS: Alerts = { bell: 'mentions', isMuted: false };

/** Without a stored setting, `read` returns undefined. */
export const createAlertStore = (storage: ClientStorage, server: string): RoomStore<Alerts> =>
  new RoomStore({ storage, prefix: `engawa:${server}:alerts:`, parse: parseAlerts, saveDelayMs: SAVE_DELAY_MS });

function parseAlerts(read: unknown): Alerts | undefined {
  const { bell, isMuted } = (read ?? {}) as Partial<Alerts>;
  return isBellMode(bell) && typeof isMuted === 'boolean' ? { bell, isMuted } : undefined;
}

export const isBellMode = (text: unknown): text is BellMode => BELL_MODES.includes(text as BellMode);
