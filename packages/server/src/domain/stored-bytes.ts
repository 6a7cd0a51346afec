/** What a command adds to the store, about: measured on the embedded one, rounded up. */

/** Of an entry, with the keys that it sets and the tickets that it leaves. */
const ENTRY_OVERHEAD_BYTES = 256;
/** Names and ids stand in several tables and indexes, a text in one. */
const NAME_COPIES = 6;

export function estimateStoredBytes(request: object): number {
  const { chats, ...common } = request as { chats?: object[] };
  // Each costs as if it came alone.
  return (chats ?? [{}]).reduce((sum, chat) => sum + entryBytes({ ...common, ...chat }), 0);
}

function entryBytes(fields: { message?: string; topic?: string }): number {
  const { message = '', topic = '', ...names } = fields;
  return ENTRY_OVERHEAD_BYTES + NAME_COPIES * jsonByteLength(names) + jsonByteLength(message) + jsonByteLength(topic);
}

const jsonByteLength = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
