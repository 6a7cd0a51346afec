/** Estimates how many bytes a command adds to the store: measured on the embedded store, rounded up. */

/** Size of an entry with its keys and tickets, without its texts. */
const ENTRY_OVERHEAD_BYTES = 256;
/** Names and ids are stored in several tables and indexes, a text in one. */
const NAME_COPIES = 6;

export function estimateStoredBytes(request: object): number {
  const { chats, ...common } = request as { chats?: object[] };
  // Each chat costs as much as if it came in its own request.
  return (chats ?? [{}]).reduce((sum, chat) => sum + entryBytes({ ...common, ...chat }), 0);
}

function entryBytes(fields: { message?: string; topic?: string }): number {
  const { message = '', topic = '', ...names } = fields;
  return ENTRY_OVERHEAD_BYTES + NAME_COPIES * jsonByteLength(names) + jsonByteLength(message) + jsonByteLength(topic);
}

const jsonByteLength = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
