/** Clients that write Engine.IO and Socket.IO packets by hand, as no library would. */
import { once } from 'node:events';
import { Agent, type RequestOptions, request } from 'node:http';
import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { withTimeout } from '../processes/server.ts';

export type Frame = string | Buffer;

/** `closed`: the server ended the sender's connection. Otherwise the codes of its refusals, empty without any. */
export type AttackOutcome = 'closed' | string[];

/** A client that sends attacks, over either transport. */
export interface RawClient {
  /** Sends packets unchanged, all at once. */
  send(...frames: Frame[]): Promise<void>;
  /** Every text packet that came so far. */
  readonly received: string[];
  /** The first packet of this form, received already or later. */
  waitForPacket(form: RegExp): Promise<string>;
  /** Resolves when the server has ended the connection. */
  readonly closed: Promise<void>;
}

interface RawOptions {
  headers?: Record<string, string>;
  query?: string;
}

/** Numbers of acknowledgements that no attack uses. */
let lastProbeId = 987_654_321;
const SEPARATOR = '\x1e';

export interface RawWebSocket extends RawClient {
  readonly socket: WebSocket;
  /** The code that the server closed with. */
  readonly code: Promise<number>;
}

export async function openRawWebSocket(url: string, { headers = {}, query = '' }: RawOptions = {}): Promise<RawWebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket${query}`, { headers });
  onTestFinished(() => socket.terminate());
  const inbox = new Inbox();
  const code = new Promise<number>((resolve) => socket.on('close', resolve));
  socket.on('message', (data, isBinary) => void (isBinary || inbox.put((data as Buffer).toString())));
  await withTimeout(new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject)), 'a WebSocket');
  return {
    socket,
    code,
    closed: code.then(() => undefined),
    received: inbox.received,
    waitForPacket: (form) => inbox.waitFor(form),
    send: async (...frames) => {
      for (const frame of frames) socket.send(frame, () => undefined);
    },
  };
}

export interface RawPolling extends RawClient {
  /** The address of the session. */
  readonly address: string;
  /** One POST of this body; its status, or 0 if the server cut it off. */
  postBody(body: string, headers?: Record<string, string>): Promise<number>;
}

/** A client over HTTP; with `reads: false` it never polls. */
export async function openRawPolling(
  url: string,
  { headers = {}, query = '', polls = true }: RawOptions & { polls?: boolean } = {},
): Promise<RawPolling> {
  const base = `${url}/socket.io/?EIO=4&transport=polling${query}`;
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const opened = await fetchText(base, { agent, headers });
  const address = `${base}&sid=${(JSON.parse(opened.body.slice(1)) as { sid: string }).sid}`;
  const inbox = new Inbox();

  const poll = async (): Promise<boolean> => {
    const { status, body } = await fetchText(address, { agent, headers });
    if (status === 200) for (const packet of body.split(SEPARATOR)) inbox.put(packet);
    return status === 200;
  };
  const pollLoop = async () => {
    while (await poll());
  };
  const postBody = async (body: string, more: Record<string, string> = {}) =>
    (await fetchText(address, { agent, method: 'POST', headers: { ...headers, ...more } }, body)).status;
  return {
    address,
    postBody,
    received: inbox.received,
    waitForPacket: (form) => inbox.waitFor(form),
    closed: polls ? pollLoop() : new Promise(() => undefined),
    send: async (...frames) => {
      if (frames.length > 0)
        await postBody(frames.map((frame) => (typeof frame === 'string' ? frame : `b${frame.toString('base64')}`)).join(SEPARATOR));
    },
  };
}

/** The answer to one request; status 0 where the server cut it off. */
function fetchText(address: string, options: RequestOptions, body = ''): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const cutOff = () => resolve({ status: 0, body: '' });
    request(address, options, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), cutOff);
    })
      .on('error', cutOff)
      .end(body);
  });
}

/** Socket.IO's CONNECT, with this value as `auth`. */
export async function connectRaw<R extends RawClient>(raw: R, auth = ''): Promise<R> {
  await raw.send(`40${auth}`);
  await raw.waitForPacket(/^40\{/);
  return raw;
}

/** The outcome of the packets. After them the same client sends a plain query: either it is answered, or the client is disconnected. */
export async function attack(raw: RawClient, frames: Frame[]): Promise<AttackOutcome> {
  const before = raw.received.length;
  lastProbeId += 1;
  await raw.send(...frames);
  await raw.send(`42${lastProbeId}["list:rooms",{}]`);
  const end = await withTimeout(Promise.race([raw.waitForPacket(new RegExp(`^43${lastProbeId}\\[`)), raw.closed]), 'the end of the attack');
  return end === undefined ? 'closed' : raw.received.slice(before).flatMap(errorCodesIn);
}

interface RawAnswer {
  error?: { code: string };
}

/** The code of the refusal that a packet is, as an acknowledgement or as an `error` event; none when it is none. */
function errorCodesIn(packet: string): string[] {
  const json = /^4(?:3[^[]*|2)(\[.*)$/.exec(packet)?.[1];
  if (json === undefined) return [];
  const [first, second] = JSON.parse(json) as [RawAnswer | string, RawAnswer['error']];
  const error = typeof first === 'string' ? first === 'error' && second : first.error;
  return error ? [error.code] : [];
}

/** One HTTP request, written by hand; returns all data until the connection ends. */
export async function rawRequest(url: string, requestText: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = createConnection(Number(port), hostname, () => socket.write(requestText));
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
  await withTimeout(once(socket, 'close'), 'the end of the request');
  return Buffer.concat(chunks).toString();
}

class Inbox {
  readonly received: string[] = [];
  readonly #waiters = new Set<() => void>();

  put(packet: string): void {
    this.received.push(packet);
    for (const look of this.#waiters) look();
  }

  waitFor(form: RegExp): Promise<string> {
    return new Promise((resolve) => {
      const check = () => {
        const found = this.received.find((packet) => form.test(packet));
        if (found === undefined) return;
        this.#waiters.delete(check);
        resolve(found);
      };
      this.#waiters.add(check);
      check();
    });
  }
}
