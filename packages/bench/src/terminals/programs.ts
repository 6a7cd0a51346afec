import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEmbedded } from '@engawa/server';
import { seedRoom } from '../harness/seed-room.ts';
import { withServer } from '../harness/server-process.ts';
import { RawClient } from '../load/raw-client.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { IrcServer } from './irc-server.ts';
import type { Command } from './pty-window.ts';

const ENGAWA = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));
const ROOM = 'veranda';
const CHANNEL = `#${ROOM}`;
const ME = 'noa';
/** Short enough for one row. */
const TEXT_BYTES = 40;
/** What an IRC server tells who comes in: as many as a page. */
const PAGE = 50;

/** A room where somebody talks, and a program that is to be opened there. */
export interface TestRoom {
  /** The text of the newest chat. */
  newest: string;
  say: (text: string) => void;
  /** The command that opens it, as if for the first time, each time. */
  command: () => Command;
}

export interface TerminalProgram {
  name: string;
  isThere: boolean;
  /** Where the program can have no more than its server tells, the size of the room is of no account. */
  isBounded: boolean;
  withRoom: <Result>(parent: string, chats: number, use: (room: TestRoom) => Promise<Result>) => Promise<Result>;
}

export const chatText = (number: number): string => `${number} `.padEnd(TEXT_BYTES, 'x');

const engawa: TerminalProgram = {
  name: 'engawa chat',
  isThere: true,
  isBounded: false,
  withRoom: (parent, chats, use) =>
    withTempFolder(parent, async (folder) => {
      const store = await openEmbedded({ folder });
      await seedRoom({ store, room: ROOM, chats, others: 0, textBytes: TEXT_BYTES, progress: () => undefined });
      await store.close();
      return withServer(folder, async ({ url }) => {
        const speaker = await RawClient.connect(url);
        await speaker.ask('add:member', { roomId: ROOM, username: 'ben' });
        let homes = 0;
        const command = (): Command => {
          homes += 1;
          const home = join(folder, `home-${homes}`);
          return {
            program: process.execPath,
            args: [ENGAWA, 'chat', ROOM, '--as', `${ME}${homes}`, '--server', url],
            env: { HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_STATE_HOME: join(home, 'state'), LANG: 'C.UTF-8' },
          };
        };
        try {
          const say = (message: string) => void speaker.ask('create:chat', { roomId: ROOM, username: 'ben', message });
          return await use({ newest: chatText(chats), say, command });
        } finally {
          speaker.close();
        }
      });
    }),
};

const ircClient = (name: string, commandIn: (folder: string, port: number) => Command): TerminalProgram => ({
  name,
  isThere: spawnSync(name, ['--version']).status === 0,
  isBounded: true,
  withRoom: (parent, chats, use) =>
    withTempFolder(parent, async (folder) => {
      const before = Array.from({ length: PAGE }, (_, index) => chatText(chats - PAGE + index + 1));
      const server = new IrcServer(CHANNEL, before);
      const port = await server.listen();
      try {
        return await use({ newest: chatText(chats), say: (text) => server.say(text), command: () => commandIn(folder, port) });
      } finally {
        server.close();
      }
    }),
});

const weechat = ircClient('weechat', (folder, port) => ({
  program: 'weechat',
  args: [
    '--temp-dir',
    ...['-P', 'irc'],
    ...['-r', `/server add here 127.0.0.1/${port} -notls -nicks=${ME} -autojoin=${CHANNEL}`],
    ...['-r', '/set irc.look.server_buffer independent'],
    ...['-r', '/connect here'],
  ],
  env: { HOME: folder, LANG: 'C.UTF-8' },
}));

const irssi = ircClient('irssi', (folder, port) => {
  const config = join(folder, 'irssi.config');
  writeFileSync(
    config,
    `servers = ( { address = "127.0.0.1"; port = "${port}"; chatnet = "here"; autoconnect = "yes"; } );
chatnets = { here = { type = "IRC"; nick = "${ME}"; }; };
channels = ( { name = "${CHANNEL}"; chatnet = "here"; autojoin = "yes"; } );
settings = { core = { real_name = "${ME}"; user_name = "${ME}"; nick = "${ME}"; }; "fe-common/core" = { window_auto_change = "yes"; }; };\n`,
  );
  return { program: 'irssi', args: [`--config=${config}`, `--home=${folder}`], env: { HOME: folder, LANG: 'C.UTF-8' } };
});

export const programs = [engawa, weechat, irssi].filter(({ isThere }) => isThere);
