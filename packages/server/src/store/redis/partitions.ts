/**
 * The partitions of rooms. The keys of a room have the hash tag of its partition instead of one of its own: so subscriptions and
 * pipelines can be batched, and all keys of a room are in one slot. The number cannot change as long as there are data.
 */
export const PARTITIONS = 1024;

const SLOTS = 16_384;

/** The partition of a room, by the UTF-8 bytes of its name (FNV-1a, 32 bits). */
export function partitionOf(room: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(room)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}

/** The slot of a hash tag (CRC-16/XMODEM, as the Redis Cluster specification defines it). */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % SLOTS;
}

/**
 * The hash tag of each partition: the smallest numbers whose slots are each in the middle of an equal part of all slots, so that
 * however a cluster divides its slots, the partitions are divided in the same proportions.
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
