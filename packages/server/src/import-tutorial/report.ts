import { quoteForTerminal } from '../format.ts';

/** What became of everything that an import came upon. */
export interface ImportReport {
  rooms: ImportCounts;
  chats: ImportCounts;
  /** `room::user` in the set of members: names, which are free to be taken again. */
  members: number;
  remarks: Map<Remark, { count: number; examples: string[] }>;
}

interface ImportCounts {
  found: number;
  imported: number;
  /** Taken by an earlier run, whether anything came of them or not. */
  before: number;
}

/** Everything that is not imported as it was, or not at all; in this order it is told. */
export const remarkTexts = {
  roomNotUtf8: 'left out: rooms whose names are not UTF-8',
  roomNotVisible: 'left out: rooms whose names are not allowed here, nor anything like them',
  roomNameTaken: 'left out: rooms whose names are not allowed here, and the nearest is that of another room',
  roomIsThere: 'left out: rooms whose names others have here already',
  roomNotList: 'left out: rooms whose chats should be a list, and are something else',
  chatNoName: 'left out: chats without "::"',
  chatNoText: 'left out: chats without a text',
  chatTooLarge: "left out: chats larger than 1 MiB, which the tutorial's server never took",
  roomRenamed: 'changed: names of rooms that are not allowed here',
  chatRenamed: 'changed: names of authors that are not allowed here',
  chatNotUtf8: 'changed: chats with bytes that are not UTF-8, which became \ufffd',
  chatDivided: 'divided: chats longer than 4,000 characters or 16,000 bytes, into several',
  chatManyMembers: 'in doubt: chats that several members may have written; the longest name is taken',
  chatNoMember: 'in doubt: chats with several "::" and no member\'s name; what is before the first is taken for it',
  memberManyRooms: 'in doubt: members that may be of several rooms',
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
