/** Hostile packets of Engine.IO and Socket.IO (attack list, groups 28 to 37): the sender is refused or disconnected, without an effect on other clients. */
import { isDeepStrictEqual } from 'node:util';
import { LIMITS } from '@engawa/protocol';
import { createServer, openMemory } from '@engawa/server';
import {
  type AttackOutcome,
  attack,
  connectRaw,
  type Frame,
  openRawPolling,
  openRawWebSocket,
  type RawClient,
  rawRequest,
} from '@engawa/testkit/actors/raw-clients';
import { connect, until, withTimeout } from '@engawa/testkit/processes/server';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ATTACKER_HEADERS, countResources, ROOM, startWithBystanders } from './helpers/bystanders.ts';

type Case = [what: string, frames: Frame[], expected: AttackOutcome];

const LIST = '["list:rooms",{}]';
const binary = Buffer.from([1, 2, 3]);
const placeholder = (num: string): string => `451-["create:chat",{"_placeholder":true,"num":${num}}]`;
const named = (name: unknown): string => `42${JSON.stringify([name, {}])}`;

const groups: Record<string, Case[]> = {
  '28: frames that are no packets': [
    ['an unknown Engine.IO type', ['9'], 'closed'],
    ['a letter for a type', ['x'], 'closed'],
    ['a prototype key for a type', ['__proto__'], 'closed'],
    ['an empty frame', [''], 'closed'],
    ['a message without content', ['4'], 'closed'],
    ['a message of 60,000 digits', [`4${'9'.repeat(60_000)}`], 'closed'],
    ['an event of 60,000 digits', [`42${'9'.repeat(60_000)}`], ['unknown_event']],
    ['an unknown Socket.IO type', ['47["x"]'], 'closed'],
    ['an error that the server alone may send', ['44{"message":"x"}'], 'closed'],
    ['an open packet', ['0{"sid":"x"}'], []],
    ['an unsolicited pong', ['3', '3probe'], []],
    ['a noop', ['6'], []],
  ],
  '29: upgrades out of turn': [
    ['a probe on the transport in use', ['2probe'], 'closed'],
    ['two probes', ['2probe', '2probe'], 'closed'],
    ['a ping', ['2'], 'closed'],
    ['an upgrade before a probe', ['5'], []],
  ],
  '30: binary packets that promise what never comes': [
    ['no attachments', ['450-["x"]', binary, binary], 'closed'],
    ['six billion attachments', ['455999999999-["x"]', binary], 'closed'],
    ['eleven attachments', ['4511-["x"]', binary], 'closed'],
    ['attachments without a number', ['45-["x"]', binary], 'closed'],
    ['a number and a half of attachments', ['451.5-["x"]', binary], 'closed'],
    ['attachments less than none', ['45-1-["x"]', binary], 'closed'],
    ['a number of attachments in powers', ['451e1-["x"]', binary], 'closed'],
    ['attachments without an end', ['451'], 'closed'],
    ['a binary answer without attachments', ['460-1[]', binary], 'closed'],
    ['a binary frame without a header', [binary], 'closed'],
    ['a text where an attachment is due', ['451-["x",{"_placeholder":true,"num":0}]', named('list:rooms')], 'closed'],
    ['a second header where an attachment is due', ['451-["x"]', '451-["x"]'], 'closed'],
    ['one attachment too many', ['451-["x",{"_placeholder":true,"num":0}]', binary, binary], 'closed'],
  ],
  '31: placeholders for attachments that are not there': [
    ['number -1', [placeholder('-1'), binary], 'closed'],
    ['number 99', [placeholder('99'), binary], 'closed'],
    ['number 1', [placeholder('1'), binary], 'closed'],
    ['number "0"', [placeholder('"0"'), binary], 'closed'],
    ['number "splice"', [placeholder('"splice"'), binary], 'closed'],
    ['number "__proto__"', [placeholder('"__proto__"'), binary], 'closed'],
    ['number null', [placeholder('null'), binary], 'closed'],
    ['a placeholder for a number', [placeholder('{"_placeholder":true,"num":0}'), binary], 'closed'],
    ['number 0.5', [placeholder('0.5'), binary], ['invalid_payload']],
    [
      'the same number twice',
      ['451-["create:chat",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', binary],
      ['invalid_payload'],
    ],
    [
      'a placeholder in a placeholder',
      ['451-["create:chat",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":0}}]', binary],
      ['invalid_payload'],
    ],
    [
      'placeholders 1,000 deep',
      [`451-["x",${'['.repeat(1_000)}{"_placeholder":true,"num":0}${']'.repeat(1_000)}]`, binary],
      ['unknown_event'],
    ],
    ['placeholders 20,000 deep', [`451-["x",${'['.repeat(20_000)}${']'.repeat(20_000)}]`, binary], 'closed'],
  ],
  '32: names of events': [
    ...['disconnect', 'disconnecting', 'connect', 'connect_error', 'newListener', 'removeListener'].map(
      (name): Case => [name, [named(name)], 'closed'],
    ),
    ...['error', 'connection', 'message', '', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '*', 'create:chat:success'].map(
      (name): Case => [JSON.stringify(name), [named(name)], ['unknown_event']],
    ),
    ['a number', [named(5)], ['unknown_event']],
    ['an object', [named({ toString: 'x' })], 'closed'],
    ['an array', [named(['create:chat'])], 'closed'],
    ['true', [named(true)], 'closed'],
    ['60,000 characters', [named('x'.repeat(60_000))], ['unknown_event']],
    ['an own name with something after it', [named('create:chat\u0000')], ['unknown_event']],
  ],
  '33: events that are no events': [
    ['a text', ['42"create:chat"'], 'closed'],
    ['an object', ['42{}'], 'closed'],
    ['null', ['42null'], 'closed'],
    ['an empty array', ['42[]'], 'closed'],
    ['an array of null', ['42[null]'], 'closed'],
    ['an array that does not end', ['42["list:rooms"'], 'closed'],
    ['something after the array', [`42${LIST}x`], 'closed'],
    ['no array at all', ['42'], ['unknown_event']],
    ['an event without a payload', ['42["create:chat"]'], ['invalid_payload']],
    ['a disconnect that says something', ['41{}'], 'closed'],
  ],
  '34: numbers of acknowledgements': [
    ['1e308', [`421e308${LIST}`], 'closed'],
    ['-1', [`42-1${LIST}`], 'closed'],
    ['1.5', [`421.5${LIST}`], 'closed'],
    ['0', [`420${LIST}`], []],
    ['the same number twice', [`427${LIST}`, `427${LIST}`], []],
    ['400 digits', [`42${'9'.repeat(400)}${LIST}`], []],
    ['a number and nothing else', ['427'], ['unknown_event']],
    ['an unsolicited answer', ['437[]', '4399999[{"ok":true}]'], []],
    ['the same answer twice', ['430[]', '430[]'], []],
    ['an answer without a number', ['43[]'], []],
    ['an answer that is no array', ['430{}'], 'closed'],
  ],
  '35: connecting out of turn': [
    ['twice', ['40'], 'closed'],
    ['to a namespace that there is not', ['40/admin,'], []],
    ['to a namespace of dots', ['40/%2e%2e,'], []],
    ['to a prototype key', ['40/__proto__,'], []],
    ['to a namespace of 60,000 characters', [`40/${'x'.repeat(60_000)},`], []],
    ['an event to a namespace that there is not', ['42/admin,["list:rooms",{}]'], 'closed'],
    ['a goodbye to a namespace that there is not', ['41/admin,'], 'closed'],
    ['to eleven namespaces', Array.from({ length: 11 }, (_, each) => `40/${each},`), 'closed'],
  ],
};

const transports: [string, (url: string) => Promise<RawClient>][] = [
  ['websocket', (url) => openRawWebSocket(url, { headers: ATTACKER_HEADERS })],
  ['polling', (url) => openRawPolling(url, { headers: ATTACKER_HEADERS })],
];

const fateOf = (expected: AttackOutcome): string => {
  if (expected === 'closed') return 'is disconnected';
  return expected.length > 0 ? `is refused: ${expected.join()}` : 'goes on';
};
const titled = (cases: Case[]) => cases.map(([what, frames, expected]) => [what, fateOf(expected), frames, expected] as const);

describe.each(transports)('over %s', (_, open) => {
  describe.each(Object.entries(groups))('%s', (__, cases) => {
    test.each(titled(cases))('%s: the sender %s', async (_what, _fate, frames, expected) => {
      const setup = await startWithBystanders();
      const before = countResources(setup);
      const attacker = await connectRaw(await open(setup.url));
      expect(await attack(attacker, frames)).toEqual(expected);
      if (expected === 'closed') await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of the client');
      await setup.expectUnharmed();
    });
  });

  describe('35: packets before the connect packet', () => {
    test.each([
      ['an event', `427${LIST}`],
      ['an answer', '430[]'],
      ['a goodbye', '41'],
      ['an attachment', binary],
    ])('%s: the sender is disconnected', async (__, frame) => {
      const { url, expectUnharmed } = await startWithBystanders();
      const attacker = await open(url);
      await attacker.send(frame);
      await withTimeout(attacker.closed, 'the end of the connection');
      await expectUnharmed();
    });
  });

  test('35: requests after a disconnect packet on the same connection are ignored', async () => {
    const { url, io, expectUnharmed } = await startWithBystanders();
    const attacker = await connectRaw(await open(url));
    await attacker.send('41');
    await until(() => io.sockets.sockets.size === 2, 'the client has left');
    expect(await attack(attacker, [])).toBe('closed');
    await expectUnharmed();
  });

  test('35: a client that sends 20,000 connect packets at once is disconnected, and leaves nothing', async () => {
    const setup = await startWithBystanders();
    const before = countResources(setup);
    const attacker = await open(setup.url);
    await attacker.send(...Array.from({ length: 20_000 }, () => '40'));
    await withTimeout(attacker.closed, 'the end of the connection');
    await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of the client');
    await setup.expectUnharmed();
  });

  test('35: 5,000 namespaces leave nothing', async () => {
    const setup = await startWithBystanders();
    const before = countResources(setup);
    const attacker = await connectRaw(await open(setup.url));
    await attacker.send(...Array.from({ length: 5_000 }, (__, each) => `40/${each},`));
    await withTimeout(attacker.closed, 'the end of the connection');
    await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of the client');
    expect([...setup.io._nsps.keys()]).toEqual(['/']);
    await setup.expectUnharmed();
  });

  test('34: 1,500 unsolicited acknowledgements leave nothing', async () => {
    const setup = await startWithBystanders();
    const attacker = await connectRaw(await open(setup.url));
    const before = countResources(setup);
    expect(
      await attack(
        attacker,
        Array.from({ length: 1_500 }, (__, each) => `43${each}[{"ok":true}]`),
      ),
    ).toEqual([]);
    expect(countResources(setup)).toEqual(before);
    await setup.expectUnharmed();
  });

  test('35: a client that disconnects before its admission does not count for its address afterwards', async () => {
    const { url, io, expectUnharmed } = await startWithBystanders();
    for (let times = 0; times < LIMITS.perAddress.connections + 10; times += 1) {
      const attacker = await open(url);
      await attacker.send('40', '9');
      await withTimeout(attacker.closed, 'the end of the connection');
    }
    await until(() => io.engine.clientsCount === 2, 'they are gone');
    await connect(url, { extraHeaders: ATTACKER_HEADERS });
    await expectUnharmed();
  });

  describe('36: the auth payload of a client', () => {
    test.each(['"x"', '[]', 'null', 'true', '{', '{}x', '{"session":NaN}'])('%s: the sender is disconnected', async (auth) => {
      const { url, expectUnharmed } = await startWithBystanders();
      const attacker = await open(url);
      await attacker.send(`40${auth}`);
      await withTimeout(attacker.closed, 'the end of the connection');
      await expectUnharmed();
    });

    test.each([
      '""',
      '"short"',
      `"${'x'.repeat(65)}"`,
      `"${'x'.repeat(31)}\\n"`,
      '5',
      'true',
      '["x"]',
      '{"$ne":null}',
      '{"toString":"x"}',
      `"${'é'.repeat(40)}"`,
    ])('the session %s is refused with a code', async (session) => {
      const { url, expectUnharmed } = await startWithBystanders();
      const attacker = await open(url);
      await attacker.send(`40{"session":${session}}`);
      expect(JSON.parse((await attacker.waitForPacket(/^44/)).slice(2))).toMatchObject({
        data: { code: 'invalid_session', retryable: false },
      });
      await expectUnharmed();
    });

    test.each([
      ['a prototype', '{"__proto__":{"session":5,"pid":"x","offset":"y"}}'],
      ['a constructor', '{"constructor":{"prototype":{"session":"x"}}}'],
      ['5,000 levels', `{"x":${'['.repeat(5_000)}${']'.repeat(5_000)}}`],
      ['10,000 keys', JSON.stringify(Object.fromEntries(Array.from({ length: 7_000 }, (__, each) => [each, 1])))],
    ])('%s is admitted like any other client, and not stored', async (__, auth) => {
      const { url, io, expectUnharmed } = await startWithBystanders();
      const attacker = await connectRaw(await open(url), auth);
      const sockets = [...io.sockets.sockets.values()];
      expect(sockets).toHaveLength(3);
      for (const { handshake } of sockets) expect(handshake.auth).toEqual({});
      expect(Object.prototype).not.toHaveProperty('session');
      expect(await attack(attacker, [])).toEqual([]);
      await expectUnharmed();
    });
  });

  describe('37: resuming the session of another client', () => {
    const offsets = [
      '""',
      '"0-0"',
      '"9999999999999-0"',
      '"-1"',
      '"NaN"',
      '"\'; DROP TABLE entries; --"',
      `"${'9'.repeat(60_000)}"`,
      '0',
      '-1',
      '1e999',
      'null',
      '{"$gt":""}',
      '["0"]',
    ];
    const pids = ['"__proto__"', '"../../x"', '""', '5', '{"$ne":null}', `"${'x'.repeat(20)}"`];

    test.each([...offsets.map((offset) => ['"aya"', offset]), ...pids.map((pid) => [pid, '"0-0"'])])(
      'pid %s with offset %.40s gives nothing',
      async (pid, offset) => {
        const { url, io, aya, ben, expectUnharmed } = await startWithBystanders();
        const attacker = await open(url);
        await attacker.send(`40{"pid":${pid === '"aya"' ? JSON.stringify(aya.id) : pid},"offset":${offset}}`);
        const { sid } = JSON.parse((await attacker.waitForPacket(/^40\{/)).slice(2)) as { sid: string };
        expect([aya.id, ben.id]).not.toContain(sid);
        expect(io.sockets.sockets.get(sid)?.recovered).toBe(false);
        await expectUnharmed();
        expect(await attack(attacker, [`42["create:chat",{"roomId":"${ROOM}","username":"aya","message":"x"}]`])).toEqual(['not_a_member']);
        expect(attacker.received.filter((packet) => packet.includes('says'))).toEqual([]);
      },
    );
  });
});

describe('30: a header whose attachments never arrive', () => {
  test('delays only its sender, and is freed with the connection', async () => {
    const setup = await startWithBystanders();
    const before = countResources(setup);
    const attacker = await connectRaw(await openRawWebSocket(setup.url, { headers: ATTACKER_HEADERS }));
    await attacker.send('4510-["create:chat",{"_placeholder":true,"num":9}]', ...Array.from({ length: 9 }, () => Buffer.alloc(60_000)));
    await setup.expectUnharmed();
    attacker.socket.terminate();
    await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of the client');
    await setup.expectUnharmed();
  });
});

describe('29: a failed upgrade from polling', () => {
  async function upgrading() {
    const setup = await startWithBystanders();
    const session = await connectRaw(await openRawPolling(setup.url, { headers: ATTACKER_HEADERS }));
    const sid = new URL(session.address).searchParams.get('sid');
    const second = await openRawWebSocket(setup.url, { headers: ATTACKER_HEADERS, query: `&sid=${sid}` });
    return { ...setup, session, second, query: `&sid=${sid}` };
  }

  test.each([
    ['a message instead of the upgrade', ['2probe', `42${LIST}`]],
    ['a message before the probe', [`42${LIST}`]],
    ['an unknown type', ['2probe', '9']],
    ['a ping that is no probe', ['2']],
    ['an attachment', ['2probe', binary]],
  ])('%s ends the new transport, and the session continues on the old one', async (_, frames) => {
    const { session, second, expectUnharmed } = await upgrading();
    await second.send(...frames);
    await withTimeout(second.closed, 'the end of the new transport');
    expect(await attack(session, [])).toEqual([]);
    await expectUnharmed();
  });

  test.each([
    ['two probes', ['2probe', '2probe', '5']],
    ['no probe', ['5']],
  ])('%s and an upgrade: the session continues on the new transport', async (_, frames) => {
    const { second, expectUnharmed } = await upgrading();
    await second.send(...frames);
    expect(await attack(second, [])).toEqual([]);
    await expectUnharmed();
  });

  test('a second upgrade of one session is closed', async () => {
    const { url, second, query, expectUnharmed } = await upgrading();
    await second.send('2probe', '5');
    expect(await attack(second, [])).toEqual([]);
    const third = await openRawWebSocket(url, { headers: ATTACKER_HEADERS, query });
    await withTimeout(third.closed, 'the end of the third transport');
    expect(await attack(second, [])).toEqual([]);
    await expectUnharmed();
  });
});

describe('frames above the size limit', () => {
  const large = 'x'.repeat(100_000);
  const million = '9'.repeat(1_000_000);
  const cases = [
    ['28: a message of a million digits', `4${million}`],
    ['32: an event name of a million characters', `42["${million}"]`],
    ['34: a million digits for an acknowledgement', `42${million}${LIST}`],
    ['35: a namespace of 100,000 characters', `40/${large},`],
    ['36: an auth of a million characters', `40{"session":"${million}"}`],
    ['37: an offset of a million characters', `40{"pid":"x","offset":"${million}"}`],
    [
      '37: a resume of 100,000 rooms',
      `42["resume:rooms",{"rooms":{${Array.from({ length: 100_000 }, (_, each) => `"${each}":1`).join()}}}]`,
    ],
  ] as const;

  test.each(cases)('%s ends a WebSocket', async (_, frame) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const attacker = await openRawWebSocket(url, { headers: ATTACKER_HEADERS });
    await attacker.send(frame);
    expect(await withTimeout(attacker.code, 'the end of the connection')).toBe(1009);
    await expectUnharmed();
  });

  test.each(cases)('%s is refused over HTTP', async (_, frame) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const attacker = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
    expect([413, 0]).toContain(await attacker.postBody(frame));
    expect(await attack(attacker, [])).toEqual([]);
    await expectUnharmed();
  });
});

test('32: a refusal repeats at most as much of an event name as the limit of names', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const attacker = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  expect(await attack(attacker, [named('x'.repeat(60_000)), '427', '42'])).toEqual(['unknown_event', 'unknown_event', 'unknown_event']);
  for (const packet of attacker.received) expect(packet.length).toBeLessThan(500);
  await expectUnharmed();
});

test('32: an event called "error" is not handled as an error: nothing is logged', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const server = createServer({
    store: openMemory(),
    settings: { port: 0, host: '127.0.0.1', allowedOrigins: ['*'], rateLimits: 'on', trustedProxies: 0 },
    log,
  });
  const url = `http://127.0.0.1:${await server.listen()}`;
  onTestFinished(() => server.close());
  const attacker = await connectRaw(await openRawWebSocket(url));
  expect(await attack(attacker, ['42["error",{"stack":"made up"}]'])).toEqual(['unknown_event']);
  expect(await attack(attacker, ['49'])).toBe('closed');
  await until(() => lines.length > 0, 'the broken packet is logged');
  expect(lines).toHaveLength(1);
  expect(lines.join()).not.toContain('made up');
});

test.each(['//', '///', '//%', '/\\\\', 'http://', 'http://[', '//a:999999', '/%', '*', '/socket.io', '/socket.io?EIO=4', '/__proto__'])(
  'a request for %j is answered, and the process goes on',
  async (path) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const answer = await rawRequest(url, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    await expectUnharmed();
  },
);
