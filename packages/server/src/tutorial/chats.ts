import { type Decided, draft } from '../chat/rule.ts';
import type { TutorialDatabase } from './database.ts';
import { AUTHOR } from './filling.ts';
import { type Division, divisionsOf, fittingTexts, fittingUsername, textOf } from './names.ts';
import { type Remark, type Report, remarkOn } from './report.ts';

interface Reading {
  database: TutorialDatabase;
  report: Report;
  /** As the tutorial's server named it. */
  room: string;
}

/** The tutorial's Socket.IO took no larger packet. */
const CHAT_BYTES = 1024 * 1024;

/** What becomes of one element of a list: mostly one chat, several when it is long, none when it is left out. */
export async function readChat(element: Buffer, { database, report, room }: Reading): Promise<Decided[]> {
  const { text, isMended } = textOf(element);
  const remark = (of: Remark): void => remarkOn(report, of, text);
  const divisions = element.length > CHAT_BYTES ? [] : divisionsOf(text);
  const written = divisions.length > 1 ? await byMembers(divisions, { database, room }) : divisions;
  const { name, rest } = written.at(-1) ?? divisions[0] ?? { name: '', rest: '' };
  const texts = fittingTexts(rest);
  if (texts.length === 0) {
    remark(element.length > CHAT_BYTES ? 'chatTooLarge' : divisions.length === 0 ? 'chatNoName' : 'chatNoText');
    return [];
  }
  const username = fittingUsername(name);
  if (written.length === 0) remark('chatNoMember');
  if (written.length > 1) remark('chatManyMembers');
  if (isMended) remark('chatNotUtf8');
  if (texts.length > 1) remark('chatDivided');
  if (username !== name) remark('chatRenamed');
  return texts.map((message) => draft('create:chat', { username, author: AUTHOR }, { message }, { listed: true }));
}

async function byMembers(divisions: Division[], { database, room }: Pick<Reading, 'database' | 'room'>): Promise<Division[]> {
  const names = divisions.map(({ name }) => name);
  const areMembers = await database.areMembers(room, names);
  return divisions.filter((_, index) => areMembers[index]);
}
