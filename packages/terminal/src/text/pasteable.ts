/** Controls but tabs and line breaks: pasted into a shell they would be keys that nobody pressed. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Somebody's text for the clipboard. */
export const sanitizeForClipboard = (text: string): string => text.replace(/\r\n?/g, '\n').replace(CONTROLS, '').toWellFormed();
