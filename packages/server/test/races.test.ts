/** Many clients that do conflicting things at the same time. */
import type { Ack, CommandName } from '@engawa/protocol';
import { findFaults, type ReceivedLog, type RoomHistory, type SentCommand } from '@engawa/testkit/checkers/history';
import { readEntries, readRoom, recordReceived } from '@engawa/testkit/checkers/recording';
import { connect, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { newDurableStore } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { expect, test } from 'vitest';
import type { AppendResult, Store } from '#store/contract.js';

const roomId = 'lobby';

test('of 200 clients that request one name at once, one gets it', async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const outcomes = watchAppends(store);
  await requestOk(await connect(url), 'create:room', { roomId, username: 'owner' });
  const clients = await Promise.all(Array.from({ length: 200 }, () => connect(url)));

  for (const username of ['aya', 'ben', 'chiyo', 'dan', 'emi']) {
    const answers = await Promise.all(clients.map((client) => sendRequest(client, 'add:member', { roomId, username })));
    const refusals = answers.flatMap((answer) => (answer.ok ? [] : [answer.error.code]));
    expect(refusals).toEqual(Array.from({ length: 199 }, () => 'name_taken'));
    const joins = (await readEntries(store, roomId)).filter(({ kind, by }) => kind === 'add:member' && by === username);
    expect(joins).toHaveLength(1);
  }
  expect(outcomes, 'several decided to join at the same time').toContain('stale');
});

test('a member who is removed while chatting is not broadcast after the removal, and receives nothing after it', {
  timeout: 60_000,
}, async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const history: RoomHistory = { sent: [], receivedLogs: [] };
  const clients = ['owner', 'member', 'witness'].map((name) => new Client(name, history));
  const [owner, member, observer] = clients as [Client, Client, Client];
  for (const client of clients) await client.connect(url);
  await owner.ask('create:room');
  await observer.ask('add:member');

  const rounds: Talk[] = [];
  const isBetween = ({ accepted, refusals }: Talk) => accepted.length > 0 && refusals.length > 0;
  // A store may store all chats of a round in one write.
  for (let round = 0; round < 50 || (round < 500 && !rounds.some(isBetween)); round += 1)
    rounds.push(await removeWhileTalking({ owner, member, observer, after: round % (CHATS + 1), sendsAllBefore: round % 2 === 0 }));

  const log = await readRoom(store, roomId, history.sent);
  await until(() => observer.receivedLog.entries.at(-1)?.seq === log.head, 'the witness received the last entry');
  await until(() => member.receivedLog.entries.at(-1)?.seq === rounds.at(-1)?.removed, 'the member received the last of their removals');
  expect(findFaults(history, log)).toEqual([]);
  for (const { accepted, removed } of rounds) expect(Math.max(0, ...accepted)).toBeLessThan(removed);
  expect(owner.receivedLog.entries.map(({ seq }) => seq)).toEqual(log.entries.map(({ seq }) => seq));
  expect(member.receivedLog.entries.filter(({ kind }) => kind === 'remove:member').map(({ seq }) => seq)).toEqual(
    rounds.map(({ removed }) => removed),
  );
  expect(member.receivedLog.entries.at(-1)?.kind).toBe('remove:member');
  expect(new Set(rounds.flatMap(({ refusals }) => refusals))).toEqual(new Set(['not_a_member']));
  expect(rounds.some(isBetween), 'a removal came between two chats').toBe(true);
});

/** The member's chats of one round. */
const CHATS = 20;

interface Talk {
  /** The seqs of the chats that were stored before the removal. */
  accepted: number[];
  refusals: string[];
  removed: number;
}

interface Talking {
  owner: Client;
  member: Client;
  observer: Client;
  /** How many chats of the member are answered when the owner removes them. */
  after: number;
  /** Whether all chats are sent before that; otherwise the rest is sent together with the removal. */
  sendsAllBefore: boolean;
}

async function removeWhileTalking({ owner, member, observer, after, sendsAllBefore }: Talking): Promise<Talk> {
  await member.ask('add:member');
  let answered = 0;
  const chat = async (number: number) => {
    const answer = await member.ask('create:chat', { message: `chat ${number}` });
    answered += 1;
    return answer;
  };
  const numbers = [...Array(CHATS).keys()];
  const sentBefore = numbers.slice(0, sendsAllBefore ? CHATS : after).map(chat);
  await until(() => answered >= after, 'enough chats were answered');
  const others = [
    owner.ask('remove:member', { username: 'member' }),
    owner.ask('create:chat', { message: 'at last' }),
    observer.ask('create:chat', { message: 'oh' }),
  ];
  const sentWithRemoval = numbers.slice(sentBefore.length).map(chat);
  const [removal] = await Promise.all(others);
  const answers = await Promise.all([...sentBefore, ...sentWithRemoval]);
  return {
    accepted: answers.flatMap((answer) => (answer.ok ? [answer.seq] : [])),
    refusals: answers.flatMap((answer) => (answer.ok ? [] : [answer.error.code])),
    removed: removal?.ok ? removal.seq : 0,
  };
}

/** A client of the room that records its requests, answers and received events. */
class Client {
  readonly receivedLog: ReceivedLog;
  readonly #history: RoomHistory;
  #socket: Socket | undefined;

  constructor(name: string, history: RoomHistory) {
    this.receivedLog = { client: name, entries: [], lastAcknowledged: 0 };
    this.#history = history;
    history.receivedLogs.push(this.receivedLog);
  }

  async connect(url: string): Promise<void> {
    this.#socket = await connect(url);
    recordReceived(this.#socket, () => this.receivedLog);
  }

  async ask(event: CommandName, fields: object = {}): Promise<Ack<CommandName>> {
    const { client } = this.receivedLog;
    const { sent } = this.#history;
    const asked: SentCommand = {
      client,
      event,
      payload: { roomId, username: client, clientId: `${client} ${sent.length}`, ...fields },
      sentSequence: performance.now(),
      acks: [],
    };
    sent.push(asked);
    const answer = await sendRequest(this.#socket as Socket, event, asked.payload as never);
    if (answer.ok) asked.acks.push({ ...answer, sequence: performance.now() });
    else asked.refusal = answer.error.code;
    return answer;
  }
}

function watchAppends(store: Store): AppendResult['outcome'][] {
  const outcomes: AppendResult['outcome'][] = [];
  const append = store.append.bind(store);
  store.append = async (...asked) => {
    const appended = await append(...asked);
    outcomes.push(appended.outcome);
    return appended;
  };
  return outcomes;
}
