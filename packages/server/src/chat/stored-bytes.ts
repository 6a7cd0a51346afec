/** What a command adds to the store, about: measured on the embedded one, rounded up. */

/** Of an entry, with the keys that it sets and the tickets that it leaves. */
const ENTRY_BYTES = 256;
/** Names and ids stand in several tables and indexes, a text in one. */
const COPIES = 6;

export function storedBytesOf(ask: object): number {
  const { chats, ...common } = ask as { chats?: object[] };
  // Each costs as if it came alone.
  return (chats ?? [{}]).reduce((sum, chat) => sum + entryBytes({ ...common, ...chat }), 0);
}

function entryBytes(ask: { message?: string; topic?: string }): number {
  const { message = '', topic = '', ...names } = ask;
  return ENTRY_BYTES + COPIES * jsonBytes(names) + jsonBytes(message) + jsonBytes(topic);
}

const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
