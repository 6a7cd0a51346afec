// All attacks of the flood, in the order in which they run.
import type { Attack } from './attack.ts';
import { floodAttacks } from './flood-attacks.ts';
import { frameAttacks } from './frame-attacks.ts';
import { handshakeAttacks } from './handshake-attacks.ts';
import { httpAttacks } from './http-attacks.ts';
import { identityAttacks } from './identity-attacks.ts';
import { packetAttacks } from './packet-attacks.ts';
import { payloadAttacks } from './payload-attacks.ts';
import { tcpAttacks } from './tcp-attacks.ts';

export const attacks: readonly Attack[] = [
  ...tcpAttacks,
  ...httpAttacks,
  ...handshakeAttacks,
  ...frameAttacks,
  ...packetAttacks,
  ...payloadAttacks,
  ...identityAttacks,
  ...floodAttacks,
];
