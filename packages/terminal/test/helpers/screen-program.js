// A small program for tests of the screen: an input row, and the last event below. Typed words are its commands.
/* oxlint-disable typescript/no-unsafe-argument, typescript/no-unsafe-assignment, typescript/no-unsafe-member-access --
   plain JavaScript, because Node runs it as it is, and that has no types */
import { writeFileSync } from 'node:fs';
import { Editor } from '#input/editor.js';
import { openScreen } from '#screen/terminal-screen.js';
import { linkifyUrls } from '#text/hyperlinks.js';
import { sanitizeLine } from '#text/sanitize.js';

const editor = new Editor();
const notes = [];
let frames = 0;
let tick = 0;
let isFlooding = false;

const listener = {
  onInput(key) {
    if (key.kind === 'key' && key.name === 'c' && key.ctrl) return end(0);
    if (key.kind === 'key' && key.name === 'enter') run(editor.submit());
    else if (!editor.handleKey(key)) note(JSON.stringify(key));
    if (key.kind === 'paste') note(`pasted ${key.text.length}`);
    show();
  },
  onResize(size) {
    note(`size ${size.columns}x${size.rows}`);
    show();
  },
  onClosed() {
    end(7);
  },
};

const screen = await openScreen(process, listener);
screen.setTitle('縁側\u001b]0;evil\u0007');
note('ready');
show();

function run(word) {
  if (word === 'crash') throw new Error('it crashed');
  if (word === 'reject') void Promise.reject(new Error('it was rejected'));
  if (word === 'exit') process.exit(3);
  if (word === 'bell') screen.bell();
  if (word === 'frames') note(`frames ${frames}`);
  if (word === 'suspend') process.kill(process.pid, 'SIGTSTP');
  if (word === 'draw on') isFlooding = true;
  if (word === 'crash stopped') {
    isFlooding = true;
    setTimeout(() => {
      writeFileSync(process.argv[2], 'now');
      throw new Error('it crashed');
    }, 500);
  }
  if (word === 'wait') {
    // A stopped terminal must not block the program: it ends by itself.
    isFlooding = true;
    setTimeout(() => process.exit(frames > 20 ? 9 : 5), 1_000);
  }
  if (word === 'flood') {
    const timer = setInterval(() => {
      for (let each = 0; each < 20; each += 1) show();
    }, 1);
    setTimeout(() => {
      clearInterval(timer);
      note(`flooded with ${frames}`);
      show();
    }, 1_000);
  }
  if (isFlooding) setInterval(show, 1).unref();
  note(`said ${word}`);
}

function note(text) {
  notes.unshift(text);
  notes.length = Math.min(notes.length, 5);
}

function show() {
  screen.draw((size) => {
    frames += 1;
    tick += 1;
    const { rows, cursor } = editor.rows(size.columns - 2);
    const flood = isFlooding ? Array.from({ length: 20 }, () => [{ text: `${tick} `.repeat(40), color: 'muted' }]) : [];
    return {
      rows: [
        [{ text: ' bar '.padEnd(size.columns), background: 'bar' }],
        ...rows.map((row) => [{ text: '> ', color: 'accent' }, ...row]),
        ...notes.map((text) => linkifyUrls(sanitizeLine(text))),
        ...flood,
      ],
      cursor: { row: cursor.row + 1, column: cursor.column + 2 },
    };
  });
}

function end(code) {
  screen.close();
  screen.draw(() => ({ rows: [[{ text: 'after the end' }]] }));
  if (!isFlooding) console.log('left');
  process.exitCode = code;
}
