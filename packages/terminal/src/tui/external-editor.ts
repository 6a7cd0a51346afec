// Edits a text in the external editor of the user (VISUAL or EDITOR).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEFAULT_EDITOR = 'vi';
/** Limit of the text that is read back. A longer one stays in its file. */
const MAX_BYTES = 1024 * 1024;

export type EditorResult =
  | { text: string }
  /** The editor could not be started or ended with an exit code other than 0. The text stays unchanged. */
  | { failed: string }
  /** The text is too long. It stays in this file. */
  | { tooLong: string };

/** Resolves when the editor has ended; until then it has the terminal. `fits` checks the length of the text. */
export async function editExternally(text: string, env: NodeJS.ProcessEnv, fits: (text: string) => boolean): Promise<EditorResult> {
  const command = [env.VISUAL, env.EDITOR].find((each) => each !== undefined && each.trim() !== '') ?? DEFAULT_EDITOR;
  // mkdtemp creates it for the user only, whatever the umask.
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

/** Runs the command in a shell, because the variable may contain options. */
async function run(command: string, path: string, env: NodeJS.ProcessEnv): Promise<unknown> {
  const child = spawn('sh', ['-c', `${command} "$1"`, 'sh', path], { stdio: 'inherit', env });
  const [code] = (await once(child, 'close')) as [unknown];
  return code;
}
