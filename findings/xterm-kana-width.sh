#!/usr/bin/env bash
# xterm.js with its graphemes addon draws half-width kana with a voiced mark too narrow, and kanji of some names too wide.
#
# Guess:   ﾊﾟ (half-width ha and its mark) takes two cells in every terminal. So does 葛 with an ideographic variation selector,
#          which people use for the exact form of their name. The addon makes widths better where code points combine.
# Happens: xterm.js alone and with Unicode 11 agree with string-width and with tmux. With the graphemes addon the mark
#          joins the kana in one cell, and the variation selector takes a cell of its own: three.
# Matters: a full-screen client that counts as the libraries do has the cursor and the right edge in the wrong column in such
#          a terminal. Widths cannot be known from the text alone: a client has to write a row that holds such text as a
#          whole, from its first column, or to ask the terminal where the cursor is (CSI 6n).
# Seen:    2026-11-30, @xterm/headless 6.0.0, @xterm/addon-unicode-graphemes 0.4.0, @xterm/addon-unicode11 0.9.0,
#          string-width 9.0.0; tmux 3.3a by hand.
. "$(dirname "$0")/common.sh"

npm_packages @xterm/headless@6.0.0 @xterm/addon-unicode-graphemes@0.4.0 @xterm/addon-unicode11@0.9.0 string-width@9.0.0

cat >"$work/run.mjs" <<'JS'
import unicode11 from '@xterm/addon-unicode11';
import graphemes from '@xterm/addon-unicode-graphemes';
import xterm from '@xterm/headless';
import stringWidth from 'string-width';

const TEXTS = { 'ﾊﾟ': 'ﾊﾟ', 'ﾊﾟｿｺﾝ': 'ﾊﾟｿｺﾝ', '葛 U+E0100': '葛\u{e0100}', '葛': '葛' };

/** The column of the cursor after the text, which is what a terminal takes it to be wide. */
function widthIn(addon, version, text) {
  const terminal = new xterm.Terminal({ allowProposedApi: true });
  if (addon) {
    terminal.loadAddon(addon);
    terminal.unicode.activeVersion = version;
  }
  return new Promise((resolve) => terminal.write(text, () => resolve(terminal.buffer.active.cursorX)));
}

for (const [name, text] of Object.entries(TEXTS)) {
  const alone = await widthIn(null, null, text);
  const with11 = await widthIn(new unicode11.Unicode11Addon(), '11', text);
  const withGraphemes = await widthIn(new graphemes.UnicodeGraphemesAddon(), '15-graphemes', text);
  console.log(`${name}: string-width ${stringWidth(text)}, xterm ${alone}, with unicode11 ${with11}, with graphemes ${withGraphemes}`);
}
process.exit();
JS

see node run.mjs
as_described <<'END'
ﾊﾟ: string-width 2, xterm 2, with unicode11 2, with graphemes 1
ﾊﾟｿｺﾝ: string-width 5, xterm 5, with unicode11 5, with graphemes 4
葛 U+E0100: string-width 2, xterm 2, with unicode11 2, with graphemes 3
葛: string-width 2, xterm 2, with unicode11 2, with graphemes 2
END
