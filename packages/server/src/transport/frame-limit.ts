/** Ends connections that send more frames than any client has a reason to, whatever is in them. */
import type { Rate } from '@engawa/protocol';
import type { Socket } from 'socket.io';
import type { WebSocket } from 'ws';
import { Bucket } from './rates.ts';

const FRAMES = Symbol('frames');
type Counted = { [FRAMES]?: Bucket };
type Conn = Omit<Socket['conn'], 'transport'> & Counted & { readonly transport: { readonly socket?: WebSocket & Counted } };

/**
 * Events have rates of their own. Pings, pongs, acknowledgements and what else means nothing have none, but each is read,
 * and tens of thousands fit into a chunk. Gives what is called with each new connection; its listeners are the same functions
 * for all. `onExcess` is called once for each connection that is ended.
 */
export function limitFrames(rate: Rate, onExcess: (conn: Socket['conn']) => void): (conn: Socket['conn']) => void {
  const isWithin = (counted: Counted): boolean => {
    counted[FRAMES] ??= new Bucket(rate);
    return counted[FRAMES].tryTake();
  };
  function onPacket(this: Conn): void {
    if (isWithin(this)) return;
    onExcess(this as unknown as Socket['conn']);
    const { socket } = this.transport;
    // What else was read in the same chunk is not heard any more.
    this.close();
    if (socket) socket.terminate();
    else this.close(true);
  }
  function onControlFrame(this: WebSocket & Counted): void {
    if (!isWithin(this)) this.terminate();
  }
  function watchTransport(this: Conn): void {
    this.transport.socket?.on('ping', onControlFrame).on('pong', onControlFrame);
  }
  return (conn) => {
    conn.on('packet', onPacket);
    conn.on('upgrade', watchTransport);
    watchTransport.call(conn as unknown as Conn);
  };
}
