// Generates the tables of docs/terminal.md from the commands and keys of the full-screen client. With --check it writes nothing
// and fails if the page is out of date. Text outside of the markers is written by hand.
import { readFileSync, writeFileSync } from 'node:fs';
import { commands, usageWithAliases } from '../packages/terminal/dist/commands/slash-commands.js';
import { en } from '../packages/terminal/dist/i18n/en.js';
import { keyBindings } from '../packages/terminal/dist/tui/key-bindings.js';

const PAGE = new URL('../docs/terminal.md', import.meta.url);

const table = (head, rows) => `| ${head} | | |\n|---|---|---|\n${rows.join('\n')}\n`;

const sources = { commands: 'commands/slash-commands.ts', keys: 'tui/key-bindings.ts' };
const sections = {
  commands: () =>
    table(
      'command',
      commands.map(
        (command) =>
          `| ${usageWithAliases(command)
            .map((name) => `\`${name}\``)
            .join(', ')} | ${en.commands[command.name]} | ${command.inLineMode ? 'also in plain lines' : ''} |`,
      ),
    ),
  keys: () => `| keys | |\n|---|---|\n${keyBindings.map(({ label, messageKey }) => `| ${label} | ${en.keys[messageKey]} |`).join('\n')}\n`,
};

/** The page with all marked sections generated. */
function render(page) {
  return Object.entries(sections).reduce((text, [name, make]) => {
    const [begin, end] = [`<!-- ${name}: made from packages/terminal/src/${sources[name]} -->\n`, `<!-- end of ${name} -->`];
    const [before, rest] = text.split(begin);
    if (rest === undefined) throw new Error(`docs/terminal.md lacks the marker of ${name}`);
    return `${before}${begin}\n${make()}\n${end}${rest.split(end)[1]}`;
  }, page);
}

const page = readFileSync(PAGE, 'utf8');
const made = render(page);
if (!process.argv.includes('--check')) writeFileSync(PAGE, made);
else if (page !== made) throw new Error('docs/terminal.md does not say what the client does; run `npm run docs`');
