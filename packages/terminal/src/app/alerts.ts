/** How much of a room its reader wants to be told of, kept for each room. */
import type { ClientStorage } from '@engawa/client';
import { RoomStore } from './room-store.ts';

const REST_MS = 250;

/** For what it rings: each chat of others, those that name the reader, or nothing. */
export const BELLS = ['all', 'mentions', 'off'] as const;
export type Bell = (typeof BELLS)[number];

export interface Alerts {
  bell: Bell;
  /** It never rings, and only what names the reader counts as new. */
  isMuted: boolean;
}

export const USUAL: Alerts = { bell: 'mentions', isMuted: false };

/** Nothing is read where it was never said. */
export const alertStore = (storage: ClientStorage, server: string): RoomStore<Alerts> =>
  new RoomStore({ storage, prefix: `engawa:${server}:alerts:`, parse: alertsIn, restMs: REST_MS });

function alertsIn(read: unknown): Alerts | undefined {
  const { bell, isMuted } = (read ?? {}) as Partial<Alerts>;
  return isBell(bell) && typeof isMuted === 'boolean' ? { bell, isMuted } : undefined;
}

export const isBell = (text: unknown): text is Bell => BELLS.includes(text as Bell);
