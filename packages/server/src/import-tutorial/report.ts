/** The report of an import: what was found, imported, changed or left out. */
import { quoteForTerminal } from '../format.ts';

/** Counts and remarks of one import. */
export interface ImportReport {
  rooms: ImportCounts;
  chats: ImportCounts;
  /** `room::user` elements of the set of members. They hold no names in the new store. */
  members: number;
  remarks: Map<Remark, { count: number; examples: string[] }>;
}

interface ImportCounts {
  found: number;
  imported: number;
  /** Handled by an earlier run, whether imported or left out. */
  before: number;
}

/** Remarks about everything that is left out or changed, in the order of the report. */
export const remarkTexts = {
  roomNotUtf8: 'left out: rooms whose names are not UTF-8',
  roomNotVisible: 'left out: rooms whose names are not allowed here, nor any similar name',
  roomNameTaken: 'left out: rooms whose names are not allowed here, and the nearest allowed name is taken by another room',
  roomIsThere: 'left out: rooms whose names other rooms have here already',
  roomNotList: 'left out: rooms whose chats are not a Redis list',
  chatNoName: 'left out: chats without "::"',
  chatNoText: 'left out: chats without a text',
  chatTooLarge: "left out: chats larger than 1 MiB, which the tutorial's server never accepted",
  roomRenamed: 'changed: names of rooms that are not allowed here',
  chatRenamed: 'changed: names of authors that are not allowed here',
  chatNotUtf8: 'changed: chats with bytes that are not UTF-8, which became \ufffd',
  chatDivided: 'split: chats longer than 4,000 characters or 16,000 bytes, into several',
  chatManyMembers: 'in doubt: chats that several members may have written; the longest name is used',
  chatNoMember: 'in doubt: chats with several "::" and no member\'s name; the part before the first one is used as the name',
  memberManyRooms: 'in doubt: members that may belong to several rooms',
  memberNoRoom: 'members of rooms that are not in the set "rooms"',
  roomUnknown: 'rooms that are not in the set "rooms", but have chats, and are imported',
} as const;
export type Remark = keyof typeof remarkTexts;

const MAX_EXAMPLES = 3;
const MAX_EXAMPLE_LENGTH = 60;

export const newReport = (): ImportReport => ({
  rooms: { found: 0, imported: 0, before: 0 },
  chats: { found: 0, imported: 0, before: 0 },
  members: 0,
  remarks: new Map(),
});

export function addRemark({ remarks: all }: ImportReport, remark: Remark, example: string): void {
  const recorded = all.get(remark) ?? { count: 0, examples: [] };
  recorded.count += 1;
  if (recorded.examples.length < MAX_EXAMPLES) recorded.examples.push(`  ${quoteShortened(example)}`);
  all.set(remark, recorded);
}

const quoteShortened = (text: string): string =>
  quoteForTerminal(text.length > MAX_EXAMPLE_LENGTH ? `${text.slice(0, MAX_EXAMPLE_LENGTH)}…` : text);
