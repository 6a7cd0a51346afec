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
 * Events have their own rates. Pings, pongs, acknowledgements and meaningless frames have none, but each is parsed, and tens of
 * thousands fit into a chunk. Returns a function to call with each new connection; its listeners are shared. `onExcess` is
 * called once for each connection that is closed.
 */
export function limitFrames(rate: RateLimit, onExcess: (conn: Socket['conn']) => void): (conn: Socket['conn']) => void {
  function countFrame(conn: Conn): void {
    conn[FRAME_BUCKET] ??= new TokenBucket(rate);
    if (conn.readyState !== 'open' || conn[FRAME_BUCKET].tryTake()) return;
    onExcess(conn as unknown as Socket['conn']);
    const { socket } = conn.transport;
    // Ignores the rest of the same chunk.
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
