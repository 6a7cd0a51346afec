#!/usr/bin/env bash
# Two linkifiers and a link in a Japanese sentence: one finds none, the other takes the rest of the text into it.
#
# Guess:   Japanese has no spaces, so a linkifier that knows Unicode finds the link in 詳しくはhttps://example.jp/a, and ends a
#          link at the full stop 。 as it does at a full stop with a space after it.
# Happens: linkify-it needs a blank or a punctuation mark before the scheme, and a kana is neither: no link. It does stop at 。
#          and the other marks. linkifyjs finds the link anywhere, and takes 。 、 」 or ） and all text that follows, up to
#          the next blank, into it; two links with a 、 between them become one.
# Matters: messages in Japanese and Chinese. With linkify-it a chat client has to look for schemes inside words itself; with
#          linkifyjs it has to cut links at CJK punctuation.
# Seen:    2026-11-30, linkify-it 6.1.0, linkifyjs 4.4.0.
. "$(dirname "$0")/common.sh"

npm_packages linkify-it@6.1.0 linkifyjs@4.4.0

cat >"$work/run.mjs" <<'JS'
import { LinkifyIt } from 'linkify-it';
import { find } from 'linkifyjs';

const linkify = new LinkifyIt();
const TEXTS = [
  '詳しくは https://example.jp/a です。',
  '詳しくはhttps://example.jp/a です。',
  '詳しくは、https://example.jp/a。次は',
  'https://example.jp/a、https://example.jp/b',
  'https://example.jp/a…',
  '「https://example.jp/a」の',
  '（https://example.jp/a）の',
];

const shown = (links) => links.join(' and ') || 'no link';

for (const text of TEXTS) {
  console.log(text);
  console.log('  linkify-it:', shown((linkify.match(text) ?? []).map(({ raw }) => raw)));
  console.log('  linkifyjs: ', shown(find(text).map(({ value }) => value)));
}
JS

see node run.mjs
as_described <<'END'
詳しくは https://example.jp/a です。
  linkify-it: https://example.jp/a
  linkifyjs:  https://example.jp/a
詳しくはhttps://example.jp/a です。
  linkify-it: no link
  linkifyjs:  https://example.jp/a
詳しくは、https://example.jp/a。次は
  linkify-it: https://example.jp/a
  linkifyjs:  https://example.jp/a。次は
https://example.jp/a、https://example.jp/b
  linkify-it: https://example.jp/a and https://example.jp/b
  linkifyjs:  https://example.jp/a、https://example.jp/b
https://example.jp/a…
  linkify-it: https://example.jp/a
  linkifyjs:  https://example.jp/a…
「https://example.jp/a」の
  linkify-it: https://example.jp/a
  linkifyjs:  https://example.jp/a」の
（https://example.jp/a）の
  linkify-it: https://example.jp/a
  linkifyjs:  https://example.jp/a）の
END
