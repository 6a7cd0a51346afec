/** Closes connections that send more WebSocket frames than the rate limit allows. */
import type { RateLimit } from '@engawa/protocol';
import type { Socket } from 'socket.io';
import type { WebSocket } from 'ws';
import { TokenBucket } from '../limits/token-bucket.ts';

const FRAME_BUCKET = Symbol('frames');
const ENGINE_CONN = Symbol('connection');
type Conn = Omit<Socket['conn'], 'transport'> & {
  [FRAME_BUCKET]?: TokenBucket;
  readonly transport: { readonly socket?: CountedWebSocket };
};
type CountedWebSocket = WebSocket & { [ENGINE_CONN]?: Conn };

/**
 * Events have rates of their own. Pings, pongs, acknowledgements and what else means nothing have none, but each is read,
 * and tens of thousands fit into a chunk. Gives what is called with each new connection; its listeners are the same functions
 * for all. `onExcess` is called once for each connection that is ended.
 */
export function limitFrames(rate: RateLimit, onExcess: (conn: Socket['conn']) => void): (conn: Socket['conn']) => void {
  function countFrame(conn: Conn): void {
    conn[FRAME_BUCKET] ??= new TokenBucket(rate);
    if (conn.readyState !== 'open' || conn[FRAME_BUCKET].tryTake()) return;
    onExcess(conn as unknown as Socket['conn']);
    const { socket } = conn.transport;
    // What else was read in the same chunk is not heard any more.
    conn.close();
    if (socket) socket.terminate();
    else conn.close(true);
  }
  function onPacket(this: Conn): void {
    countFrame(this);
  }
  function onControlFrame(this: CountedWebSocket): void {
    if (this[ENGINE_CONN]) countFrame(this[ENGINE_CONN]);
  }
  function watchTransport(this: Conn): void {
    const { socket } = this.transport;
    if (!socket) return;
    socket[ENGINE_CONN] = this;
    socket.on('ping', onControlFrame).on('pong', onControlFrame);
  }
  return (conn) => {
    conn.on('packet', onPacket);
    conn.on('upgrade', watchTransport);
    watchTransport.call(conn as unknown as Conn);
  };
}
