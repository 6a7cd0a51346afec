// Generates fuzz cases: one client with several connections that send valid and mutated packets.
// The same seed and case number generate the same case.
import { createHash } from 'node:crypto';
import { nameFrom, type Request, requestFrom, roomIdFrom } from './grammar.ts';
import { mutateJson } from './mutate-json.ts';
import { fragmented, mutateFatally, mutateMildly } from './mutate-packet.ts';
import type { Packet } from './packet.ts';
import { Random } from './random.ts';

/** `upgrade` starts with polling. */
type TransportName = 'websocket' | 'polling' | 'upgrade';

/** One connection. */
export interface Visit {
  transport: TransportName;
  /** Credentials of CONNECT; `recover` adds pid and offset of the connection before. */
  auth: { session?: string };
  recover: boolean;
  /** Sent before the valid CONNECT. */
  mutatedConnect: Packet[];
  /** Sent and answered before the packets, so that mutated packets refer to existing data. */
  setUp: Request[];
  packets: Packet[];
  /** How it ends: with a disconnect packet, a FIN, or a reset. */
  ending: 'disconnect' | 'end' | 'reset';
  /** Packets in one write or one POST. */
  batch: number;
}

export interface FuzzCase {
  seed: number;
  number: number;
  localAddress: string;
  visits: Visit[];
}

const SESSIONS = 300;
const FIRST_ID = 1_000;
const SHARES = {
  polling: 0.12,
  upgrade: 0.06,
  recover: 0.6,
  mutatedConnect: 0.03,
  json: 0.45,
  mild: 0.06,
  fatal: 0.004,
  fragments: 0.06,
  swap: 0.03,
};

export function makeCase(seed: number, number: number): FuzzCase {
  const random = new Random(seed, number);
  const session = random.chance(0.8) ? secretOf(random.int(SESSIONS)) : undefined;
  const visits = Array.from({ length: random.chance(0.8) ? 1 : 2 + random.int(2) }, (_, index) => makeVisit(random, { session, index }));
  return { seed, number, localAddress: `127.${10 + random.int(50)}.${random.int(256)}.${1 + random.int(250)}`, visits };
}

function makeVisit(random: Random, { session, index }: { session: string | undefined; index: number }): Visit {
  const transport = transportFrom(random);
  return {
    transport,
    auth: session === undefined ? {} : { session },
    recover: index > 0 && random.chance(SHARES.recover),
    mutatedConnect: random.chance(SHARES.mutatedConnect) ? mutatedConnect(random, session) : [],
    setUp: setUpFrom(random),
    packets: packetsFrom(random, transport === 'polling' ? 60 : 400),
    ending: random.pick(['disconnect', 'end', 'reset']),
    batch: 1 + random.int(transport === 'polling' ? 20 : 100),
  };
}

function transportFrom(random: Random): TransportName {
  if (random.chance(SHARES.polling)) return 'polling';
  return random.chance(SHARES.upgrade) ? 'upgrade' : 'websocket';
}

function setUpFrom(random: Random): Request[] {
  const member = { roomId: roomIdFrom(random), username: nameFrom(random) };
  return [
    { event: 'create:room', payload: member },
    { event: 'add:member', payload: member },
  ];
}

function mutatedConnect(random: Random, session: string | undefined): Packet[] {
  const auth = mutateJson(random, { session, pid: `${session}.x`, offset: '1' });
  return random.chance(0.5) ? [{ data: `40${JSON.stringify(auth)}` }] : mutateFatally(random, `40${JSON.stringify(auth)}`);
}

function packetsFrom(random: Random, most: number): Packet[] {
  const packets = Array.from({ length: 1 + random.int(most) }, (_, index) => packetFrom(random, FIRST_ID + index)).flat();
  for (let at = 1; at < packets.length; at += 1) {
    if (!random.chance(SHARES.swap)) continue;
    [packets[at - 1], packets[at]] = [packets[at] as Packet, packets[at - 1] as Packet];
  }
  return packets;
}

function packetFrom(random: Random, id: number): Packet[] {
  const { event, payload } = requestFrom(random);
  const content = random.chance(SHARES.json) ? mutateJson(random, payload) : payload;
  const text = `42${random.chance(0.8) ? id : ''}${JSON.stringify([event, content])}`;
  if (random.chance(SHARES.fatal)) return mutateFatally(random, text);
  if (random.chance(SHARES.mild)) return mutateMildly(random, text);
  return [random.chance(SHARES.fragments) ? fragmented(random, { data: text }) : { data: text }];
}

const secretOf = (index: number): string => createHash('sha256').update(`fuzz ${index}`).digest('base64url');
