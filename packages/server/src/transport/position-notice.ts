/**
 * Socket.IO's client shows the offset of the last entry that it was told when it comes back. Who is a member already and joins
 * again, as after a reload, is answered and told no entry, and could not be recovered before somebody says something.
 */
import { connectionOf, type LocalRoom } from './local-room.ts';
import type { Services } from './services.ts';
import type { Peer } from './wire.ts';

/** Gives the peer an offset for where it stands: not before what it was told in any of its rooms, nor after what it is owed. */
export async function tellPosition({ fanOut, store }: Pick<Services, 'fanOut' | 'store'>, peer: Peer, roomId: string): Promise<void> {
  const { takesOffset, seats } = connectionOf(peer);
  if (!takesOffset) return;
  const rooms = (await Promise.all([...seats].map(([id]) => fanOut.find(id)))).filter((room) => room !== undefined);
  const room = rooms.find((each) => each.roomId === roomId);
  if (!room) return;
  await learnTick(room, store);
  const { position } = room;
  // While it is told what it missed, the offsets of that count.
  if (!position || connectionOf(peer).catchUp) return;
  const tick = Math.max(...rooms.map((each) => each.tick));
  if (tick > 0) peer.emit('update:position', { roomId, epoch: position.epoch, seq: position.seq }, String(tick));
}

/** Nothing was told here since the room was opened: the log knows. */
async function learnTick(room: LocalRoom, store: Services['store']): Promise<void> {
  const { position, roomId } = room;
  if (room.tick > 0 || !position) return;
  const { epoch, entries } = await store.read(roomId, { seqs: [position.seq] });
  if (epoch === room.position?.epoch) room.tick = Math.max(room.tick, entries.get(position.seq)?.tick ?? 0);
}
