/**
 * Sends a rejoining member the offset of their position, so that the session can be recovered.
 *
 * Socket.IO's client sends the offset of the last entry that it received when it reconnects. A member who joins again, as after
 * a reload, is only acknowledged: without this event they could not be recovered before the next entry of the room.
 */
import type { Connection } from '../connections/connection.ts';
import type { LocalRoom } from '../rooms/local-room.ts';
import type { AppContext } from './context.ts';

/**
 * The offset is not older than any entry that the connection received, and not newer than any entry that it has yet to receive.
 */
export async function emitPosition(
  { roomRegistry, store }: Pick<AppContext, 'roomRegistry' | 'store'>,
  connection: Connection,
  roomId: string,
): Promise<void> {
  const { canUseOffsets, memberships } = connection;
  if (!canUseOffsets) return;
  const rooms = (await Promise.all([...memberships].map(([id]) => roomRegistry.get(id)))).filter((room) => room !== undefined);
  const room = rooms.find((each) => each.roomId === roomId);
  if (!room) return;
  await loadLatestHlc(room, store);
  const { position } = room;
  // During a backlog, the offsets of its entries count.
  if (!position || connection.backlogDelivery) return;
  const latestHlc = Math.max(...rooms.map((each) => each.latestHlc));
  if (latestHlc > 0) connection.peer.emit('position:changed', { roomId, epoch: position.epoch, seq: position.seq }, String(latestHlc));
}

/** If nothing was broadcast since the room was opened, the value is read from the log. */
async function loadLatestHlc(room: LocalRoom, store: AppContext['store']): Promise<void> {
  const { position, roomId } = room;
  if (room.latestHlc > 0 || !position) return;
  const { epoch, entries } = await store.read(roomId, { seqs: [position.seq] });
  if (epoch === room.position?.epoch) room.latestHlc = Math.max(room.latestHlc, entries.get(position.seq)?.hlc ?? 0);
}
