/** docs/protocol.md and the event table agree. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { commonErrors, connectErrors, errors, events, isEventName } from '@engawa/protocol';
import { expect, test } from 'vitest';

test('docs/protocol.md states exactly what the protocol does', () => {
  const script = fileURLToPath(new URL('../../../scripts/protocol-page.js', import.meta.url));
  execFileSync(process.execPath, [script, '--check']);
});

test('every error of the table occurs for an event or a connection, and every one that occurs is in the table', () => {
  const met = new Set([...commonErrors, ...connectErrors, ...Object.values(events).flatMap((event): string[] => [...event.errors])]);
  expect([...met].sort()).toEqual(Object.keys(errors).sort());
});

test.each(['constructor', '__proto__', 'toString', '', 'create:chat:success', 1, null, {}])('%j is not an event', (name) => {
  expect(isEventName(name)).toBe(false);
});
