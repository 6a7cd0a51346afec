/** Imports every room of the tutorial's database, oldest chats first. */
import type { DraftEntry } from '../domain/command.ts';
import type { Store } from '../store/contract.ts';
import { parseChat } from './parse-chat.ts';
import { addRemark, type ImportReport, newReport, type Remark } from './report.ts';
import { RoomWriter } from './room-writer.ts';
import { decodeUtf8, findSplits, sanitizeRoomId } from './sanitize-names.ts';
import type { TutorialDatabase, TutorialRoom } from './tutorial-database.ts';

interface ImportOptions {
  database: TutorialDatabase;
  store: Store;
  /** Nothing is written; the report shows what would be imported. */
  isDryRun: boolean;
  onProgress: (report: ImportReport) => void;
}

const MAX_CONCURRENT_ROOMS = 16;
/** Approximate size of one append, in bytes. */
const MAX_APPEND_BYTES = 1024 * 1024;

/**
 * Imports every room with its chats, oldest first. All entries get the present time, because the tutorial's server stores none. A
 * repeated import continues where the last one ended.
 */
export async function importTutorial(options: ImportOptions): Promise<ImportReport> {
  const report = newReport();
  await options.database.assertIsTutorialDatabase();
  for await (const rooms of options.database.rooms())
    for (let index = 0; index < rooms.length; index += MAX_CONCURRENT_ROOMS)
      await Promise.all(rooms.slice(index, index + MAX_CONCURRENT_ROOMS).map((room) => importRoom(options, report, room)));
  for await (const members of options.database.members()) await checkMembers(options.database, report, members);
  return report;
}

async function importRoom(options: ImportOptions, report: ImportReport, { id, isListed }: TutorialRoom): Promise<void> {
  const { database, isDryRun, onProgress } = options;
  const { text: room, isRepaired } = decodeUtf8(id);
  const count = await database.countChats(id);
  report.rooms.found += 1;
  report.chats.found += count ?? 0;
  if (isRepaired) return addRemark(report, 'roomNotUtf8', room);
  if (count === undefined) return addRemark(report, 'roomNotList', room);
  const writer = await findRoomWriter(options, room);
  if (typeof writer === 'string') return addRemark(report, writer, room);
  const { isNew, roomId } = writer;
  if (isNew && !isDryRun && !(await writer.createRoom())) return addRemark(report, 'roomIsThere', room);
  if (roomId !== room) addRemark(report, 'roomRenamed', room);
  if (!isListed) addRemark(report, 'roomUnknown', room);
  report.rooms[isNew ? 'imported' : 'before'] += 1;
  report.chats.before += writer.importedChats;
  for await (const elements of database.chats(id, writer.importedChats)) {
    const parsed = await Promise.all(elements.map((element) => parseChat(element, { database, report, room })));
    report.chats.imported += parsed.filter((drafts) => drafts.length > 0).length;
    if (!isDryRun) await appendAll(writer, parsed);
    onProgress(report);
  }
}

/** Finds the target room under the sanitized name; otherwise returns the remark that explains why there is none. */
async function findRoomWriter({ database, store }: ImportOptions, room: string): Promise<RoomWriter | Remark> {
  const roomId = sanitizeRoomId(room);
  if (roomId === undefined) return 'roomNotVisible';
  if (roomId !== room && (await database.hasRoom(roomId))) return 'roomNameTaken';
  return (await RoomWriter.find(store, roomId, room)) ?? 'roomIsThere';
}

/** Appends a page of chats, in as many appends as the size of its texts requires. */
async function appendAll(writer: RoomWriter, parsed: DraftEntry[][]): Promise<void> {
  let [first, bytes] = [0, 0];
  for (const [index, drafts] of parsed.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(drafts));
    if (bytes < MAX_APPEND_BYTES && index < parsed.length - 1) continue;
    await writer.appendChats(parsed.slice(first, index + 1).flat(), index + 1 - first);
    [first, bytes] = [index + 1, 0];
  }
}

async function checkMembers(database: TutorialDatabase, report: ImportReport, members: Buffer[]): Promise<void> {
  report.members += members.length;
  const rooms = await Promise.all(
    members.map(async (member) => {
      const { text } = decodeUtf8(member);
      const names = findSplits(text).map(({ name }) => name);
      return { text, count: (await database.areRooms(names)).filter(Boolean).length };
    }),
  );
  for (const { text, count } of rooms) if (count !== 1) addRemark(report, count === 0 ? 'memberNoRoom' : 'memberManyRooms', text);
}
