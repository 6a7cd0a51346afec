/** Converts chats of the tutorial's server to draft entries. */
import { type DraftEntry, draftEntry } from '../domain/command.ts';
import { addRemark, type ImportReport, type Remark } from './report.ts';
import { IMPORT_AUTHOR } from './room-writer.ts';
import { decodeUtf8, findSplits, type NameSplit, sanitizeUsername, splitText } from './sanitize-names.ts';
import type { TutorialDatabase } from './tutorial-database.ts';

interface ReadChatContext {
  database: TutorialDatabase;
  report: ImportReport;
  /** The name of the room on the tutorial's server. */
  room: string;
}

/** The largest packet that the tutorial's Socket.IO server accepted. */
const MAX_PACKET_BYTES = 1024 * 1024;

/** Converts one list element to drafts: usually one chat, several if it is long, none if it is left out. */
export async function parseChat(element: Buffer, { database, report, room }: ReadChatContext): Promise<DraftEntry[]> {
  const { text, isRepaired } = decodeUtf8(element);
  const remark = (of: Remark): void => addRemark(report, of, text);
  const splits = element.length > MAX_PACKET_BYTES ? [] : findSplits(text);
  const matching = splits.length > 1 ? await filterByMembers(splits, { database, room }) : splits;
  const { name, rest } = matching.at(-1) ?? splits[0] ?? { name: '', rest: '' };
  const texts = splitText(rest);
  if (texts.length === 0) {
    remark(element.length > MAX_PACKET_BYTES ? 'chatTooLarge' : splits.length === 0 ? 'chatNoName' : 'chatNoText');
    return [];
  }
  const username = sanitizeUsername(name);
  if (matching.length === 0) remark('chatNoMember');
  if (matching.length > 1) remark('chatManyMembers');
  if (isRepaired) remark('chatNotUtf8');
  if (texts.length > 1) remark('chatDivided');
  if (username !== name) remark('chatRenamed');
  return texts.map((message) => draftEntry('create:chat', { username, author: IMPORT_AUTHOR }, { message }, { listed: true }));
}

async function filterByMembers(splits: NameSplit[], { database, room }: Pick<ReadChatContext, 'database' | 'room'>): Promise<NameSplit[]> {
  const names = splits.map(({ name }) => name);
  const areMembers = await database.areMembers(room, names);
  return splits.filter((_, index) => areMembers[index]);
}
