#!/usr/bin/env bash
# Rocket.Chat's message parser finds no link after a parenthesis, but one in the name of a file, and a full stop in a member's.
#
# Guess:   the parser finds the link in `(https://example.com/a)`. It ends the mention in `ask @bob.` before the full stop, as
#          it ends a link there. It takes README.md and setup.sh for names of files.
# Happens: a link needs a blank or the beginning of a line before it: there is none after ( " 「 or a colon. A full stop or hyphen
#          after a mention of a member or channel is part of the name, while a comma or `!` is not. Where a file's ending is
#          also a top-level domain (.md, .sh, .rs, .py), the name of the file becomes a link to that host, without a
#          scheme; with .js and .json it does not.
# Matters: imports from Rocket.Chat. One that resolves mentions by this parser has to try the name without its last full stop
#          as well, or it loses each mention at the end of a sentence.
# Seen:    2026-12-01, @rocket.chat/message-parser 0.31.35.
. "$(dirname "$0")/common.sh"

npm_packages @rocket.chat/message-parser@0.31.35

cat >"$work/run.mjs" <<'JS'
import { parse } from '@rocket.chat/message-parser';

const TEXTS = [
  'see https://example.com/a.',
  'see: https://example.com/a',
  '(see https://example.com/a)',
  '(https://example.com/a)',
  '"https://example.com/a"',
  'see:https://example.com/a',
  '「https://example.com/a」',
  'ask @bob, please',
  'ask @bob!',
  'ask @bob.',
  'in #general.',
  'in #general-',
  'read README.md and main.rs',
  'run setup.sh, not lib.py',
  'run index.js and package.json',
];

/** What the parser takes for a link or a mention. */
function* marks(node) {
  if (Array.isArray(node)) for (const inner of node) yield* marks(inner);
  else if (node?.type === 'LINK') yield `link ${node.value.src.value}`;
  else if (node?.type === 'MENTION_USER') yield `member ${node.value.value}`;
  else if (node?.type === 'MENTION_CHANNEL') yield `channel ${node.value.value}`;
  else if (typeof node?.value === 'object') yield* marks(node.value);
}

for (const text of TEXTS) console.log(`${text}  ->  ${[...marks(parse(text))].join(', ') || 'nothing'}`);
JS

see node run.mjs
as_described <<'END'
see https://example.com/a.  ->  link https://example.com/a
see: https://example.com/a  ->  link https://example.com/a
(see https://example.com/a)  ->  link https://example.com/a
(https://example.com/a)  ->  nothing
"https://example.com/a"  ->  nothing
see:https://example.com/a  ->  nothing
「https://example.com/a」  ->  nothing
ask @bob, please  ->  member bob
ask @bob!  ->  member bob
ask @bob.  ->  member bob.
in #general.  ->  channel general.
in #general-  ->  channel general-
read README.md and main.rs  ->  link //README.md, link //main.rs
run setup.sh, not lib.py  ->  link //setup.sh, link //lib.py
run index.js and package.json  ->  nothing
END
