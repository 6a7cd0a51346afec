/** How much of a room its reader wants to be told of, kept for each room. */
import type { ClientStorage } from '@engawa/client';
import { RoomStore } from './room-store.ts';

const SAVE_DELAY_MS = 250;

/** For what it rings: each chat of others, those that name the reader, or nothing. */
export const BELL_MODES = ['all', 'mentions', 'off'] as const;
export type BellMode = (typeof BELL_MODES)[number];

export interface Alerts {
  bell: BellMode;
  /** It never rings, and only what names the reader counts as new. */
  isMuted: boolean;
}

export const DEFAULT_ALERTS: Alerts = { bell: 'mentions', isMuted: false };

/** Nothing is read where it was never said. */
export const createAlertStore = (storage: ClientStorage, server: string): RoomStore<Alerts> =>
  new RoomStore({ storage, prefix: `engawa:${server}:alerts:`, parse: parseAlerts, saveDelayMs: SAVE_DELAY_MS });

function parseAlerts(read: unknown): Alerts | undefined {
  const { bell, isMuted } = (read ?? {}) as Partial<Alerts>;
  return isBellMode(bell) && typeof isMuted === 'boolean' ? { bell, isMuted } : undefined;
}

export const isBellMode = (text: unknown): text is BellMode => BELL_MODES.includes(text as BellMode);
