// The members of a load process that return after a drop, all at once: a reconnect storm.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReturningPhase, ReturnResult, WorkerShare } from './generator.ts';
import { createReturningMember, type ReturningMember } from './returning-members.ts';
import { runConcurrently } from './run-concurrently.ts';

interface Counted {
  member: ReturningMember;
  /** Chats received. */
  chats: number;
  onChat?: (() => void) | undefined;
}

/** A failed attempt is repeated after this time, at random up to twice that. */
const RETRY_DELAY_MS = 250;
const DEADLINE_MS = 60_000;

let all: Counted[] = [];

export async function joinReturning({ url, how, roomIds, membersPerRoom }: ReturningPhase, { index, of }: WorkerShare): Promise<void> {
  const places = roomIds.flatMap((roomId) =>
    Array.from({ length: membersPerRoom }, (_, number) => ({ roomId, username: `member-${number}` })),
  );
  all = places
    .filter((_, number) => number % of === index)
    .map((place) => {
      const counted: Counted = { member: createReturningMember(how, place, () => receive(counted)), chats: 0 };
      return counted;
    });
  await runConcurrently(all, {}, ({ member }) => member.join(url));
}

function receive(counted: Counted): void {
  counted.chats += 1;
  counted.onChat?.();
}

export async function awaitChats(chats: number): Promise<void> {
  while (all.some((counted) => counted.chats < chats)) await sleep(10);
}

export async function returnAll(url: string, missed: number): Promise<ReturnResult> {
  const begun = performance.now();
  const result: ReturnResult = { times: [], lost: 0, failures: [] };
  async function returnOne(counted: Counted): Promise<void> {
    const goal = counted.chats + missed;
    while (performance.now() - begun < DEADLINE_MS) {
      try {
        await counted.member.comeBack(url);
        await new Promise<void>((resolve) => {
          counted.onChat = () => counted.chats >= goal && resolve();
          counted.onChat();
        });
        result.times.push(performance.now() - begun);
        return;
      } catch (error) {
        result.failures.push((error as Error).message);
        await sleep(RETRY_DELAY_MS * (1 + Math.random()));
      }
    }
  }
  await Promise.race([Promise.all(all.map(returnOne)), sleep(DEADLINE_MS)]);
  return { ...result, lost: all.length - result.times.length };
}
