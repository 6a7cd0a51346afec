import type { Decided } from '../chat/rule.ts';
import type { Store } from '../store/store.ts';
import { readChat } from './chats.ts';
import type { TutorialDatabase, TutorialRoom } from './database.ts';
import { Filling } from './filling.ts';
import { divisionsOf, fittingRoomId, textOf } from './names.ts';
import { newReport, type Remark, type Report, remarkOn } from './report.ts';

interface Importing {
  database: TutorialDatabase;
  store: Store;
  /** Nothing is written, and the report is of what would be. */
  isDry: boolean;
  onProgress: (report: Report) => void;
}

const ROOMS_AT_ONCE = 16;
/** Bytes of an append, about. */
const APPEND_BYTES = 1024 * 1024;

/** Every room with its chats, the oldest first, all as of now: the tutorial's server kept no time. Asked for again it goes on. */
export async function importTutorial(importing: Importing): Promise<Report> {
  const report = newReport();
  await importing.database.mustBeTheTutorials();
  for await (const rooms of importing.database.rooms())
    for (let index = 0; index < rooms.length; index += ROOMS_AT_ONCE)
      await Promise.all(rooms.slice(index, index + ROOMS_AT_ONCE).map((room) => importRoom(importing, report, room)));
  for await (const members of importing.database.members()) await lookAtMembers(importing.database, report, members);
  return report;
}

async function importRoom(importing: Importing, report: Report, { id, isKnown }: TutorialRoom): Promise<void> {
  const { database, isDry, onProgress } = importing;
  const { text: room, isMended } = textOf(id);
  const count = await database.countChats(id);
  report.rooms.found += 1;
  report.chats.found += count ?? 0;
  if (isMended) return remarkOn(report, 'roomNotUtf8', room);
  if (count === undefined) return remarkOn(report, 'roomNotList', room);
  const filling = await findFilling(importing, room);
  if (typeof filling === 'string') return remarkOn(report, filling, room);
  const { isNew, roomId } = filling;
  if (isNew && !isDry && !(await filling.open())) return remarkOn(report, 'roomIsThere', room);
  if (roomId !== room) remarkOn(report, 'roomRenamed', room);
  if (!isKnown) remarkOn(report, 'roomUnknown', room);
  report.rooms[isNew ? 'imported' : 'before'] += 1;
  report.chats.before += filling.chats;
  for await (const elements of database.chats(id, filling.chats)) {
    const read = await Promise.all(elements.map((element) => readChat(element, { database, report, room })));
    report.chats.imported += read.filter((drafts) => drafts.length > 0).length;
    if (!isDry) await addAll(filling, read);
    onProgress(report);
  }
}

/** The room of the name that the protocol takes, or why there is none. */
async function findFilling({ database, store }: Importing, room: string): Promise<Filling | Remark> {
  const roomId = fittingRoomId(room);
  if (roomId === undefined) return 'roomNotVisible';
  if (roomId !== room && (await database.hasRoom(roomId))) return 'roomNameTaken';
  return (await Filling.find(store, roomId, room)) ?? 'roomIsThere';
}

/** A page of chats, in as many appends as its texts ask for. */
async function addAll(filling: Filling, read: Decided[][]): Promise<void> {
  let [first, bytes] = [0, 0];
  for (const [index, drafts] of read.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(drafts));
    if (bytes < APPEND_BYTES && index < read.length - 1) continue;
    await filling.add(read.slice(first, index + 1).flat(), index + 1 - first);
    [first, bytes] = [index + 1, 0];
  }
}

async function lookAtMembers(database: TutorialDatabase, report: Report, members: Buffer[]): Promise<void> {
  report.members += members.length;
  const rooms = await Promise.all(
    members.map(async (member) => {
      const { text } = textOf(member);
      const names = divisionsOf(text).map(({ name }) => name);
      return { text, count: (await database.areRooms(names)).filter(Boolean).length };
    }),
  );
  for (const { text, count } of rooms) if (count !== 1) remarkOn(report, count === 0 ? 'memberNoRoom' : 'memberManyRooms', text);
}
