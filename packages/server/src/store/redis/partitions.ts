/**
 * A room's keys carry the hash tag of its partition, not one of its own: so that subscriptions and pipelines batch, while
 * all keys of a room still stand in one slot. The count is for the life of the data.
 */
export const PARTITIONS = 1024;

const SLOTS = 16_384;

/** The partition of a room, by the UTF-8 bytes of its name (FNV-1a, 32 bits). */
export function partitionOf(room: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(room)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}

/** The slot of a hash tag (CRC-16/XMODEM, as the Redis Cluster specification has it). */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % SLOTS;
}

/**
 * The hash tag of each partition: the first numbers whose slots lie one in the middle of each sixteenth of a thousandth
 * of the slots, so that however a cluster divides its slots, it divides the partitions in the same way.
 */
export const tags: readonly string[] = (() => {
  const width = SLOTS / PARTITIONS;
  const found = new Map<number, string>();
  for (let number = 0; found.size < PARTITIONS; number += 1) {
    const tag = number.toString(36);
    const slot = slotOf(tag);
    if (slot % width === width / 2 && !found.has(slot)) found.set(slot, tag);
  }
  return Array.from({ length: PARTITIONS }, (_, partition) => found.get(partition * width + width / 2) as string);
})();
