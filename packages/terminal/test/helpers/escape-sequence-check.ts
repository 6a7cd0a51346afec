// Finds escape sequences and invisible characters that must not reach a terminal.
/** All sequences that the full-screen client may write. */
const ALLOWED_SEQUENCES = new RegExp(
  [
    // Cursor position, erasing, colors; nothing blinks, hides, or is reversed in more than one way.
    String.raw`\u001b\[\d+;\d+H`,
    String.raw`\u001b\[(?:H|K|2J|\d+X|\d+G)`,
    String.raw`\u001b\[(?:0|1|4|7|[39][0-7]|[34]8;5;\d+)(?:;(?:1|4|7|[39][0-7]|[34]8;5;\d+))*m`,
    // Modes, saving the title, and the kitty protocol.
    String.raw`\u001b\[\?(?:1|7|25|1000|1004|1006|1049|2004|2026)[hl]`,
    String.raw`\u001b>|\u001b\[2[23];2t|\u001b\[>1u|\u001b\[<u`,
    // Queries at the start.
    String.raw`\u001b\[\?6n|\u001b\]11;\?\u001b\\|\u001b\[c`,
    String.raw`\u001b\]2;[^\p{Cc}]*\u001b\\`,
    String.raw`\u001b\]8;(?:id=[a-z0-9]+;https?:\/\/[!-~]+|;)\u001b\\`,
  ].join('|'),
  'gu',
);

/** Invisible characters, and those that change adjacent ones. Joiners and selectors may belong to an emoji. */
const INVISIBLE =
  /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}\u00ad\u115f\u1160\u2060-\u206f\u200b\u3164\ufeff\uffa0\ufff9-\ufffb]|(?:\p{M}|\u200d){6,}/gu;

/** Disallowed sequences and invisible characters in terminal output; empty if it is clean. */
export function findUnsafeOutput(output: string): string[] {
  const rest = output.replace(ALLOWED_SEQUENCES, '');
  return [...rest.matchAll(INVISIBLE)].map(({ 0: found, index }) =>
    JSON.stringify(rest.slice(Math.max(0, index - 10), index + found.length + 10)),
  );
}
