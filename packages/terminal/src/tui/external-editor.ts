/** The editor that somebody is used to, for a text that is longer than one likes to type in a line. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEFAULT_EDITOR = 'vi';
/** Of a text that is read back; what is longer stays in its file. */
const MAX_BYTES = 1024 * 1024;

export type EditorResult =
  | { text: string }
  /** It could not be started, or ended with another code than 0: the text is to stay as it was. */
  | { failed: string }
  /** What was written does not fit. It is in this file. */
  | { tooLong: string };

/** Resolves when the editor has ended, which has the terminal meanwhile. `fits` says whether the text may be taken. */
export async function editExternally(text: string, env: NodeJS.ProcessEnv, fits: (text: string) => boolean): Promise<EditorResult> {
  const command = [env.VISUAL, env.EDITOR].find((each) => each !== undefined && each.trim() !== '') ?? DEFAULT_EDITOR;
  // For the user alone, whatever the umask.
  const folder = mkdtempSync(join(tmpdir(), 'engawa-'));
  const path = join(folder, 'chat.txt');
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  try {
    writeFileSync(path, text, { mode: 0o600 });
    const code = await run(command, path, env);
    const isShort = statSync(path).size <= MAX_BYTES;
    const edited = isShort ? readFileSync(path, 'utf8').replace(/\r?\n$/, '') : '';
    if (code === 0 && !(isShort && fits(edited))) return { tooLong: path };
    removeFolder();
    return code === 0 ? { text: edited } : { failed: command };
  } catch {
    removeFolder();
    return { failed: command };
  }
}

/** As a shell would: the variable may have options of the editor in it. */
async function run(command: string, path: string, env: NodeJS.ProcessEnv): Promise<unknown> {
  const child = spawn('sh', ['-c', `${command} "$1"`, 'sh', path], { stdio: 'inherit', env });
  const [code] = (await once(child, 'close')) as [unknown];
  return code;
}
