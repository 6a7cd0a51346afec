/** Ends connections that send more frames than any client has a reason to, whatever is in them. */
import type { Rate } from '@engawa/protocol';
import type { Socket } from 'socket.io';
import type { WebSocket } from 'ws';
import { Bucket } from './rates.ts';

const FRAMES = Symbol('frames');
const CONN = Symbol('connection');
type Conn = Omit<Socket['conn'], 'transport'> & { [FRAMES]?: Bucket; readonly transport: { readonly socket?: Counted } };
type Counted = WebSocket & { [CONN]?: Conn };

/**
 * Events have rates of their own. Pings, pongs, acknowledgements and what else means nothing have none, but each is read,
 * and tens of thousands fit into a chunk. Gives what is called with each new connection; its listeners are the same functions
 * for all. `onExcess` is called once for each connection that is ended.
 */
export function limitFrames(rate: Rate, onExcess: (conn: Socket['conn']) => void): (conn: Socket['conn']) => void {
  function count(conn: Conn): void {
    conn[FRAMES] ??= new Bucket(rate);
    if (conn.readyState !== 'open' || conn[FRAMES].tryTake()) return;
    onExcess(conn as unknown as Socket['conn']);
    const { socket } = conn.transport;
    // What else was read in the same chunk is not heard any more.
    conn.close();
    if (socket) socket.terminate();
    else conn.close(true);
  }
  function onPacket(this: Conn): void {
    count(this);
  }
  function onControlFrame(this: Counted): void {
    if (this[CONN]) count(this[CONN]);
  }
  function watchTransport(this: Conn): void {
    const { socket } = this.transport;
    if (!socket) return;
    socket[CONN] = this;
    socket.on('ping', onControlFrame).on('pong', onControlFrame);
  }
  return (conn) => {
    conn.on('packet', onPacket);
    conn.on('upgrade', watchTransport);
    watchTransport.call(conn as unknown as Conn);
  };
}
