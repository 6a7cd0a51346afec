// Removes control characters from text that goes to the clipboard.
/** Control characters except tab and line feed: pasted into a shell they would act as keys. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export const sanitizeForClipboard = (text: string): string => text.replace(/\r\n?/g, '\n').replace(CONTROLS, '').toWellFormed();
