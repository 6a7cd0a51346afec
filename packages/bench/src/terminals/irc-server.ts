import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const ME = 'irc.invalid';

/**
 * As much of an IRC server (RFC 2812) as lets clients into one channel. Who comes in is told what was said there before, as
 * bouncers do.
 */
export class IrcServer {
  readonly #server = createServer((socket) => this.#welcome(socket));
  readonly #sockets = new Set<Socket>();
  readonly #before: string[];
  readonly #channel: string;

  constructor(channel: string, before: string[]) {
    [this.#channel, this.#before] = [channel, before];
  }

  async listen(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  say(text: string): void {
    const line = this.#said(text);
    for (const socket of this.#sockets) socket.write(line);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #said(text: string): string {
    return `:aya!aya@${ME} PRIVMSG ${this.#channel} :${text}\r\n`;
  }

  #welcome(socket: Socket): void {
    let nick = '*';
    const tell = (line: string): void => void socket.write(`:${ME} ${line}\r\n`);
    const answers: Record<string, (rest: string) => void> = {
      NICK: (name) => (nick = name),
      USER: () => {
        tell(`001 ${nick} :Welcome`);
        tell(`422 ${nick} :MOTD File is missing`);
      },
      PING: (token) => tell(`PONG ${ME} ${token}`),
      JOIN: () => {
        socket.write(`:${nick}!${nick}@${ME} JOIN ${this.#channel}\r\n`);
        tell(`353 ${nick} = ${this.#channel} :aya ${nick}`);
        tell(`366 ${nick} ${this.#channel} :End of /NAMES list.`);
        for (const text of this.#before) socket.write(this.#said(text));
        this.#sockets.add(socket);
      },
    };
    createInterface({ input: socket }).on('line', (line) => {
      const [command = '', ...rest] = line.split(' ');
      answers[command]?.(rest.join(' '));
    });
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
  }
}
