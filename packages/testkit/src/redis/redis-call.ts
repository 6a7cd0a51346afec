/** One command to a Redis server, on a connection of its own, so that earlier faults do not affect it. */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { withTimeout } from '../wait-for.ts';

/** Integers are returned as text; an error is a value only inside of a list, at the top level it is thrown. */
export type Reply = string | null | Error | Reply[];

interface Address {
  /** `redis://user:password@host:port`, or `rediss:` */
  url: string;
  /** The file of the certificate authority for a `rediss:` server. */
  ca?: string | undefined;
}

/** Rejects with the error of the server or of the connection. */
export async function sendRedisCommand(address: Address, args: (string | number)[], milliseconds = 5000): Promise<Reply> {
  const { username, password } = new URL(address.url);
  const login = password ? [['AUTH', decodeURIComponent(username) || 'default', decodeURIComponent(password)]] : [];
  const commands = [...login, args];
  const socket = openSocket(address);
  socket.write(commands.map(encode).join(''));
  try {
    const replies = await withTimeout(readReplies(socket, commands.length), `an answer of ${address.url} to ${args[0]}`, milliseconds);
    const refusal = replies.find((reply) => reply instanceof Error);
    if (refusal) throw new Error(refusal.message);
    return replies.at(-1) ?? null;
  } finally {
    socket.destroy();
  }
}

/** As `redis-cli` prints it: lists line by line, nothing as nothing. */
export function formatReply(reply: Reply): string {
  if (Array.isArray(reply)) return reply.map(formatReply).join('\n');
  return reply instanceof Error ? reply.message : (reply ?? '');
}

function openSocket({ url, ca }: Address): Socket {
  const { protocol, hostname, port } = new URL(url);
  const target = { host: hostname, port: Number(port) };
  return protocol === 'rediss:' ? connectTls({ ...target, ...(ca !== undefined && { ca: readFileSync(ca) }) }) : connectTcp(target);
}

const encode = (args: (string | number)[]): string =>
  [`*${args.length}\r\n`, ...args.map((arg) => `$${Buffer.byteLength(String(arg))}\r\n${arg}\r\n`)].join('');

function readReplies(socket: Socket, count: number): Promise<Reply[]> {
  let bytes: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const parsed = parseMany(bytes, 0, count);
      if (parsed) resolve(parsed.replies);
    });
    socket.on('error', reject).on('close', () => reject(new Error('The connection ended before the answer.')));
  });
}

/** So many replies, and where they end; undefined while bytes are missing. */
function parseMany(bytes: Buffer, at: number, count: number): { replies: Reply[]; end: number } | undefined {
  const replies: Reply[] = [];
  let end = at;
  while (replies.length < count) {
    const parsed = parse(bytes, end);
    if (!parsed) return undefined;
    replies.push(parsed.reply);
    end = parsed.end;
  }
  return { replies, end };
}

function parse(bytes: Buffer, at: number): { reply: Reply; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const [kind, line, next] = [bytes.toString('latin1', at, at + 1), bytes.toString('utf8', at + 1, lineEnd), lineEnd + 2];
  if (kind === '-') return { reply: new Error(line), end: next };
  if (kind !== '$' && kind !== '*') return { reply: line, end: next };

  const size = Number(line);
  if (size < 0) return { reply: null, end: next };
  if (kind === '*') {
    const list = parseMany(bytes, next, size);
    return list && { reply: list.replies, end: list.end };
  }
  const end = next + size + 2;
  return bytes.length < end ? undefined : { reply: bytes.toString('utf8', next, next + size), end };
}
