// Generates the man page from the table of subcommands. A test fails when the page is out of date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { manPage } from '../packages/engawa/dist/man.js';
import { subcommands } from '../packages/engawa/dist/subcommands.js';

const PAGE = new URL('../packages/engawa/man/engawa.1', import.meta.url);

mkdirSync(new URL('.', PAGE), { recursive: true });
writeFileSync(PAGE, await manPage(subcommands));
