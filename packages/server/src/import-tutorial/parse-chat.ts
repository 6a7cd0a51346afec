import { type DraftEntry, draftEntry } from '../domain/command.ts';
import { addRemark, type ImportReport, type Remark } from './report.ts';
import { IMPORT_AUTHOR } from './room-writer.ts';
import { decodeUtf8, findSplits, type NameSplit, sanitizeUsername, splitText } from './sanitize-names.ts';
import type { TutorialDatabase } from './tutorial-database.ts';

interface ReadChatContext {
  database: TutorialDatabase;
  report: ImportReport;
  /** As the tutorial's server named it. */
  room: string;
}

/** The tutorial's Socket.IO took no larger packet. */
const MAX_PACKET_BYTES = 1024 * 1024;

/** What becomes of one element of a list: mostly one chat, several when it is long, none when it is left out. */
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
