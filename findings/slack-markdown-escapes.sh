#!/usr/bin/env bash
# slack-markdown expects text as members see it, and Slack's API and exports give it escaped.
#
# Guess:   a parser of Slack's markup takes the `text` of an event or an export, where `&`, `<` and `>` are `&amp;`, `&lt;` and
#          `&gt;`, as Slack escapes them. `escapeHTML: false` is for text that is escaped already.
# Happens: it escapes them again: members see `&lt;`, and the parameters of a link change. A quote begins with `&gt;`, so none
#          is found. `escapeHTML: false` helps in plain text only, not in links, code or quotes. Text that is decoded first
#          shows right, quotes included, but then `<` and `>` of members and of Slack's own markup look the same: a member's
#          text `<@U1>` becomes a mention.
# Matters: an import from Slack has to find Slack's markup first and decode each piece of text after that, which this library
#          has no option for.
# Seen:    2026-12-01, slack-markdown 0.3.0.
. "$(dirname "$0")/common.sh"

npm_packages slack-markdown@0.3.0

cat >"$work/run.mjs" <<'JS'
import slack from 'slack-markdown';

const TEXTS = [
  '1 &lt; 2',
  '&gt; quote',
  '<https://example.com/?a=1&amp;b=2>',
  '`a &amp;&amp; b`',
  'write &lt;@U1&gt; to <@U2|bo>',
];
const decoded = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

for (const text of TEXTS) {
  console.log(text);
  console.log('  as exported:', slack.toHTML(text));
  console.log('  escapeHTML: false:', slack.toHTML(text, { escapeHTML: false }));
  console.log('  decoded first:', slack.toHTML(decoded(text)));
}
JS

see node run.mjs
as_described <<'END'
1 &lt; 2
  as exported: 1 &amp;lt; 2
  escapeHTML: false: 1 &lt; 2
  decoded first: 1 &lt; 2
&gt; quote
  as exported: &amp;gt; quote
  escapeHTML: false: &gt; quote
  decoded first: <blockquote>quote</blockquote>
<https://example.com/?a=1&amp;b=2>
  as exported: <a href="https://example.com/?a=1&amp;amp;b=2">https://example.com/?a=1&amp;amp;b=2</a>
  escapeHTML: false: <a href="https://example.com/?a=1&amp;amp;b=2">https://example.com/?a=1&amp;b=2</a>
  decoded first: <a href="https://example.com/?a=1&amp;b=2">https://example.com/?a=1&amp;b=2</a>
`a &amp;&amp; b`
  as exported: <code>a &amp;amp;&amp;amp; b</code>
  escapeHTML: false: <code>a &amp;amp;&amp;amp; b</code>
  decoded first: <code>a &amp;&amp; b</code>
write &lt;@U1&gt; to <@U2|bo>
  as exported: write &amp;lt;@U1&amp;gt; to <span class="s-mention s-user">@bo</span>
  escapeHTML: false: write &lt;@U1&gt; to <span class="s-mention s-user">@bo</span>
  decoded first: write <span class="s-mention s-user">@U1</span> to <span class="s-mention s-user">@bo</span>
END
