// Tests of the line editor.
import { CHAT_TEXT, fitsLimit } from '@engawa/protocol/text';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Editor } from '#input/editor.js';
import type { InputEvent } from '#screen/key.js';
import { displayWidth } from '#text/display-width.js';
import { splitIntoChats } from '#view-model/split-long-text.js';

/** Presses keys by name, such as `ctrl+k` and `left`; anything else is typed. */
function press(editor: Editor, ...keys: string[]): boolean[] {
  return keys.map((each) => {
    const name = each.split('+').at(-1) ?? '';
    const isNamed = /^(?:(?:ctrl|alt|shift)\+)+./.test(each) || /^(?:left|right|up|down|home|end|backspace|delete|enter|tab)$/.test(each);
    return editor.handleKey(
      isNamed
        ? { kind: 'key', name, ctrl: each.includes('ctrl+'), alt: each.includes('alt+'), shift: each.includes('shift+') }
        : { kind: 'text', text: each },
    );
  });
}

const typed = (...keys: string[]): Editor => {
  const editor = new Editor();
  press(editor, ...keys);
  return editor;
};
/** The text with a bar at the cursor. */
const seen = (editor: Editor) => `${editor.textBeforeCursor}|${editor.text.slice(editor.textBeforeCursor.length)}`;
const shown = (editor: Editor, columns: number) => {
  const { rows, cursor } = editor.rows(columns);
  return { rows: rows.map((row) => row.map(({ text }) => text).join('')), cursor: [cursor.row, cursor.column] };
};

test.each([
  [['abc', 'left', 'x'], 'abx|c'],
  [['縁側', 'left', 'の'], '縁の|側'],
  [['👨‍👩‍👧‍👦!', 'left', 'backspace'], '|!'],
  [['e\u0301x', 'home', 'delete'], '|x'],
  [['one two', 'ctrl+left', 'x'], 'one x|two'],
  [['one two', 'ctrl+a', 'alt+f', 'x'], 'onex| two'],
  [['one two', 'ctrl+w', 'ctrl+a', 'ctrl+y'], 'two|one '],
  [['one two', 'ctrl+u', 'x', 'ctrl+y'], 'xone two|'],
  [['one two', 'home', 'ctrl+k', 'ctrl+y', 'ctrl+y'], 'one twoone two|'],
  [['one two', 'ctrl+w', 'ctrl+w', 'ctrl+y'], 'one two|'],
  [['a', 'alt+enter', 'b', 'up', 'x'], 'ax|\nb'],
  [['a', 'ctrl+j', 'b', 'left', 'left', 'ctrl+k'], 'a|b'],
  [['今日は縁側', 'ctrl+w'], '今日は|'],
  [['one', ' ', 'two', 'ctrl+z'], 'one|'],
  [['o', 'n', 'e', 'ctrl+_'], '|'],
  [['one', 'ctrl+u', 'ctrl+z'], 'one|'],
])('%j leaves %s', (keys, left) => expect(seen(typed(...keys))).toBe(left));

test('keys that do not edit are not handled', () => {
  const editor = new Editor();
  expect(press(editor, 'enter', 'tab', 'ctrl+c', 'ctrl+d', 'up', 'down', 'alt+1')).not.toContain(true);
  expect(editor.handleKey({ kind: 'mouse', action: 'press', position: { column: 0, row: 0 } })).toBe(false);
  press(editor, 'x');
  expect(press(editor, 'ctrl+d')).toEqual([true]);
});

test('the input history keeps the draft and edits of its entries', () => {
  const editor = new Editor();
  for (const each of ['first', 'second']) {
    press(editor, each);
    expect(editor.submit()).toBe(each);
  }
  press(editor, 'draft', 'up', '!', 'up');
  expect(editor.text).toBe('first');
  expect(press(editor, 'up')).toEqual([false]);
  press(editor, 'down');
  expect(editor.text).toBe('second!');
  press(editor, 'down');
  expect(seen(editor)).toBe('draft|');
  expect(press(editor, 'down')).toEqual([false]);
});

test('the input history has a limit', () => {
  const editor = new Editor();
  for (let each = 0; each < 500; each += 1) {
    press(editor, `${each}`);
    editor.submit();
  }
  expect(press(editor, ...Array<string>(500).fill('up')).filter(Boolean)).toHaveLength(200);
  expect(editor.text).toBe('300');
});

test('pasted text keeps its lines and tabs and loses control characters', () => {
  const editor = new Editor();
  expect(editor.paste('a\r\nb\rc\u001b[2J\u0000\td')).toBe(true);
  expect(editor.text).toBe('a\nb\nc[2J\td');
  expect(shown(editor, 20)).toEqual({ rows: ['a', 'b', 'c[2J  d'], cursor: [2, 7] });
  press(editor, 'left', 'left');
  expect(shown(editor, 20).cursor).toEqual([2, 4]);
});

test('text beyond the limit is refused as a whole', () => {
  const editor = new Editor({ limit: 5 });
  press(editor, 'abc');
  expect(editor.paste('d👍🏿')).toBe(false);
  expect(editor.replaceBeforeCursor(1, 'cdef')).toBe(false);
  expect(editor.text).toBe('abc');
  expect(editor.insert('de')).toBe(true);
  expect(editor.insert('f')).toBe(false);
  expect(editor.replaceBeforeCursor(1, 'E')).toBe(true);
  expect(editor.text).toBe('abcdE');
});

test('a long text is split after a line, a word or a grapheme, and no other character is lost', () => {
  const unit = fc.constantFrom('word ', 'line\n', '縁側', '👩‍👩‍👧‍👦', 'x'.repeat(900), ' ', '"');
  fc.assert(
    fc.property(fc.array(unit, { minLength: 1, maxLength: 4_000 }), (units) => {
      const text = units.join('');
      const chats = splitIntoChats(text);
      for (const chat of chats) expect(fitsLimit(chat, CHAT_TEXT)).toBe(true);
      if (text.trim() !== '') expect(chats.join('').replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''));
      if (fitsLimit(text, CHAT_TEXT)) expect(chats.length).toBeLessThanOrEqual(1);
    }),
    { seed, numRuns: 200 },
  );
  expect(splitIntoChats(`${'word '.repeat(799)}broken off`)[1]).toBe('broken off');
  expect(splitIntoChats(`${'x'.repeat(3_998)}👩‍👩‍👧‍👦`)[1]).toBe('👩‍👩‍👧‍👦');
});

test('a completion replaces the typed prefix', () => {
  const editor = typed('hi /hel');
  expect(editor.replaceBeforeCursor(4, '/help ')).toBe(true);
  expect(seen(editor)).toBe('hi /help |');
  press(editor, 'ctrl+z');
  expect(editor.text).toBe('hi /hel');
});

test('long lines wrap, and the cursor is at the typing position', () => {
  expect(shown(typed(), 10)).toEqual({ rows: [''], cursor: [0, 0] });
  expect(shown(typed('縁側'), 10)).toEqual({ rows: ['縁側'], cursor: [0, 4] });
  expect(shown(typed('縁側でお茶'), 5)).toEqual({ rows: ['縁側', 'でお', '茶'], cursor: [2, 2] });
  expect(shown(typed('縁側でお茶', 'left', 'left'), 5)).toEqual({ rows: ['縁側', 'でお', '茶'], cursor: [1, 2] });
  expect(shown(typed('one two'), 5)).toEqual({ rows: ['one ', 'two'], cursor: [1, 3] });
  expect(shown(typed('a', 'alt+enter'), 5)).toEqual({ rows: ['a', ''], cursor: [1, 0] });
  expect(shown(typed('👍🏿x', 'left'), 5)).toEqual({ rows: ['👍🏿x'], cursor: [0, 2] });
});

test('up and down keep their column across shorter rows', () => {
  const editor = typed();
  editor.paste('abcdef\nx\n縁側茶');
  expect(shown(editor, 20).cursor).toEqual([2, 6]);
  press(editor, 'up');
  expect(shown(editor, 20).cursor).toEqual([1, 1]);
  press(editor, 'up');
  expect(shown(editor, 20).cursor).toEqual([0, 6]);
  press(editor, 'left', 'down', 'down');
  expect(shown(editor, 20).cursor).toEqual([2, 4]);
});

test('pasted escape sequences are displayed as harmless text', () => {
  const editor = typed();
  editor.paste('a\u202eb\u200bc');
  expect(shown(editor, 20).rows).toEqual(['a\ufffdb\ufffdc']);
  expect(editor.text).toBe('a\u202eb\u200bc');
});

test('any sequence of keys leaves text and cursor valid', () => {
  const chords = ['left', 'right', 'up', 'down', 'home', 'end', 'backspace', 'delete', 'ctrl+w', 'alt+d', 'ctrl+u', 'ctrl+k', 'ctrl+y'];
  const texts = ['a', ' ', '縁側', '👍🏿', '👩', '\u200d', '\u0301', '🇯', '🇵', 'か\u3099', '、', 'http://a.b/cdef', '\u202e', 'ab cd'];
  const key = fc.constantFrom(...chords, 'ctrl+z', 'alt+left', 'alt+right', 'alt+enter', ...texts);
  fc.assert(
    fc.property(fc.array(key, { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), (keys, columns) => {
      const editor = new Editor({ limit: 40 });
      for (const each of keys) {
        press(editor, each);
        const { rows, cursor } = editor.rows(columns);
        const row = rows[cursor.row];
        expect(row).toBeDefined();
        expect(cursor.column).toBeLessThan(columns);
        for (const { text } of rows.flat()) expect(displayWidth(text)).toBeLessThanOrEqual(columns);
        expect(editor.text.isWellFormed()).toBe(true);
        expect([...editor.text].length).toBeLessThanOrEqual(40);
      }
    }),
    { seed, numRuns: 500 },
  );
});

test('other keys change nothing', () => {
  const nothing: InputEvent[] = [
    { kind: 'focus', isFocused: true },
    { kind: 'key', name: 'f1' },
    { kind: 'key', name: 'constructor' },
  ];
  const editor = typed('x');
  expect(nothing.map((key) => editor.handleKey(key))).toEqual([false, false, false]);
  expect(seen(editor)).toBe('x|');
});
