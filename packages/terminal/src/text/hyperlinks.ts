// Turns the http and https URLs of a text into terminal hyperlinks.
import { domainToUnicode } from 'node:url';
import { looksLatin } from '@engawa/chat-view';
import { REPLACEMENT } from './sanitize.ts';
import type { Row, Span } from './styled-span.ts';

/** Longer URLs are displayed but not linked. */
const MAX_URL_LENGTH = 2_000;

const URL_LIKE = /\bhttps?:\/\/[^\s\\<>"'`{}|^\u3001\u3002\u300c-\u3011\uff08\uff09\uff0c\u2018-\u201f\u2026\ufffd]+/giu;
/** Punctuation that ends a sentence and not a URL. */
const TRAILING_PUNCTUATION = /[.,:;!?*_~、。，！？]+$/u;
/** Text that follows the host without a space, as in Japanese: `https://example.comを`. */
const TEXT_AFTER_HOST = /^(https?:\/\/(?:[a-z0-9-]+\.)+[a-z0-9-]+(?::\d+)?)[^\x00-\x7f].*$/isu;
/** In right-to-left scripts, the displayed order of the parts of a URL differs from the logical one. */
const RIGHT_TO_LEFT = /[\p{scx=Hebr}\p{scx=Arab}\p{scx=Syrc}\p{scx=Thaa}\p{scx=Nkoo}]/u;
const VISIBLE_ASCII = /^[!-~]+$/;

/** Safe text with its URLs as links. If a URL looks like another one than its target, the target is displayed. */
export function linkifyUrls(text: string): Row {
  const row: Span[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(URL_LIKE)) {
    const raw = trimUrl(found);
    const span = linkSpan(raw);
    if (!span) continue;
    if (index > end) row.push({ text: text.slice(end, index) });
    row.push(span);
    end = index + raw.length;
  }
  if (end < text.length || row.length === 0) row.push({ text: text.slice(end) });
  return row;
}

/** Removes the surrounding sentence. A closing bracket belongs to the URL only if it has an opening one. */
function trimUrl(found: string): string {
  let raw = found.slice(0, MAX_URL_LENGTH + 1).replace(TEXT_AFTER_HOST, '$1');
  for (let length = Number.POSITIVE_INFINITY; raw.length < length; ) {
    length = raw.length;
    raw = raw.replace(TRAILING_PUNCTUATION, '');
    if ((raw.endsWith(')') && hasExtraClosing(raw, '(', ')')) || (raw.endsWith(']') && hasExtraClosing(raw, '[', ']')))
      raw = raw.slice(0, -1);
  }
  return raw;
}

const hasExtraClosing = (text: string, open: string, close: string): boolean => text.split(close).length > text.split(open).length;

function linkSpan(raw: string): Span | undefined {
  if (raw.length > MAX_URL_LENGTH || !URL.canParse(raw)) return undefined;
  const url = new URL(raw);
  // Readers would take the user information before an @ for the host.
  if (url.username !== '' || url.password !== '' || !VISIBLE_ASCII.test(url.href)) return undefined;
  return { text: urlDisplayText(raw, url), link: url.href, underline: true };
}

function urlDisplayText(raw: string, url: URL): string {
  if (RIGHT_TO_LEFT.test(raw) || raw.includes(REPLACEMENT)) return url.href;
  const [, scheme = '', host = '', rest = ''] = /^(https?:\/\/)([^/?#:]*)(.*)$/isu.exec(raw) ?? [];
  const hostAsTyped = host.toLowerCase().normalize('NFC');
  const isHostAsShown =
    hostAsTyped === url.hostname || (hostAsTyped === domainToUnicode(url.hostname) && hostAsTyped.split('.').every(isSingleScript));
  return isHostAsShown ? raw : scheme + url.hostname + rest;
}

const SINGLE_SCRIPT_PATTERNS = [
  /^[\p{scx=Latn}\p{Script=Common}\p{M}]*$/u,
  // Mixed scripts of Japanese and Korean.
  /^[\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{Script=Common}a-z]*$/u,
  /^[\p{scx=Hani}\p{scx=Hang}\p{Script=Common}a-z]*$/u,
  /^[\p{scx=Cyrl}\p{Script=Common}\p{M}]*$/u,
  /^[\p{scx=Grek}\p{Script=Common}\p{M}]*$/u,
  /^[\p{scx=Deva}\p{Script=Common}\p{M}]*$/u,
  /^[\p{scx=Thai}\p{Script=Common}\p{M}]*$/u,
];
/** Whether a label of the host has one script, and does not look like a Latin one. */
const isSingleScript = (label: string): boolean => SINGLE_SCRIPT_PATTERNS.some((script) => script.test(label)) && !looksLatin(label);
