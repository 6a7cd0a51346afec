/** Several tabs of one browser with one localStorage, against a real server, over a network with faults. */

import { connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import type { BrowserContext, Page } from 'playwright-core';
import { expect, test, vi } from 'vitest';
import { openBrowser } from './helpers/browser.ts';
import { startDemoPage } from './helpers/demo-page.ts';

vi.setConfig({ testTimeout: 60_000 });

const ROOM = 'veranda';
/** The delay between attempts to connect can be ten seconds. */
const TIMEOUT_MS = 20_000;

/** On `localhost` a page has a secure context, with Web Locks; on `chat.test` it has none. */
const CONTEXTS = [
  ['with Web Locks', 'localhost'],
  ['without Web Locks', 'chat.test'],
] as const;

async function setUp(host: string) {
  const { url } = await startServer({ rateLimits: 'off' });
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const ben = await connect(url);
  await requestOk(ben, 'create:room', { roomId: ROOM, username: 'ben' });
  const [context, site] = await Promise.all([openBrowser(), startDemoPage()]);
  const server = encodeURIComponent(`http://${host}:${new URL(proxy.url).port}`);
  const address = `http://${host}:${site.port}/?username=aya&server=${server}`;
  const offline = (...tabs: Page[]) => {
    proxy.refuse(true);
    proxy.cut();
    return Promise.all(tabs.map((tab) => heads(tab, 'aya is offline')));
  };
  const stored = async () => (await requestOk(ben, 'list:chats', { roomId: ROOM })).chats.map(({ message }) => message);
  return { context, address, ben, offline, online: () => proxy.refuse(false), stored };
}

async function open(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

const heads = (page: Page, wanted: string) =>
  until(async () => (await page.locator('h1').textContent()) === wanted, `the page says ${wanted}`, TIMEOUT_MS);

async function shows(page: Page, wanted: string[]): Promise<void> {
  const shown = async () => (await page.locator('ol li').allTextContents()).join('\n');
  await until(async () => (await shown()) === wanted.join('\n'), `the page shows ${wanted.join(', ')}`, TIMEOUT_MS);
}

async function type(page: Page, text: string): Promise<void> {
  await page.fill('input', text);
  await page.press('input', 'Enter');
}

test('tabs that start at the same moment on an empty storage are one user', async () => {
  const { context, address, ben } = await setUp('localhost');
  const tabs = await Promise.all([1, 2, 3, 4].map(() => open(context, new URL('/client.js', address).href)));
  const server = new URL(address).searchParams.get('server') ?? '';
  for (const round of [1, 2, 3, 4]) {
    await tabs[0]?.evaluate('localStorage.clear()');
    const joins = await Promise.all(tabs.map((tab) => tab.evaluate(joiningAt(Date.now() + 500, server))));
    expect(joins, `round ${round}`).toEqual(['aya', 'aya', 'aya', 'aya']);
    await requestOk(ben, 'remove:member', { roomId: ROOM, username: 'aya' });
  }
});

/** Returns the username in the room, or why the join failed. */
const joiningAt = (at: number, server: string): string => `new Promise(async (resolve) => {
  const { connect } = await import('/client.js');
  while (Date.now() < ${at}) await new Promise((next) => setTimeout(next, 0));
  const client = connect('${server}', { storage: localStorage });
  const joined = client.join('${ROOM}', { username: 'aya' });
  resolve(await joined.then(({ username }) => username, ({ code }) => code));
})`;

test.each(CONTEXTS)('chats of a tab that is closed offline are shown by another one, which sends them once, %s', async (_, host) => {
  const { context, address, ben, offline, online, stored } = await setUp(host);
  const [first, second] = [await open(context, address), await open(context, address)];
  for (const tab of [first, second]) await heads(tab, 'aya is live');
  await offline(first, second);
  await type(first, 'one');
  await type(first, 'two');
  await type(second, 'three');
  for (const tab of [first, second]) await shows(tab, ['aya: one, sending', 'aya: two, sending', 'aya: three, sending']);
  await first.close();
  online();
  await until(async () => (await stored()).length === 3, 'all is sent', TIMEOUT_MS);
  await requestOk(ben, 'create:chat', { roomId: ROOM, username: 'ben', message: 'hello' });
  const again = await open(context, address);
  const texts = await stored();
  expect(texts.toSorted()).toEqual(['hello', 'one', 'three', 'two']);
  expect(texts.indexOf('one')).toBeLessThan(texts.indexOf('two'));
  for (const tab of [second, again])
    await shows(
      tab,
      texts.map((text) => `${text === 'hello' ? 'ben' : 'aya'}: ${text}, sent`),
    );
  expect(await again.evaluate("Object.keys(localStorage).filter((key) => key.includes(':unsent:'))")).toEqual([]);
});

test.each(CONTEXTS)('an edit of a tab that is closed offline is shown and sent by the next one, %s', async (_, host) => {
  const { context, address, ben, offline, online } = await setUp(host);
  const first = await open(context, address);
  await heads(first, 'aya is live');
  await type(first, 'teh');
  await shows(first, ['aya: teh, sent']);
  await offline(first);
  await first.evaluate('void room.edit(room.timeline.chats[0].seq, "the")');
  await shows(first, ['aya: the, sent']);
  await first.close();
  const second = await open(context, address);
  online();
  await heads(second, 'aya is live');
  await shows(second, ['aya: the, sent']);
  const edited = async () => (await requestOk(ben, 'list:chats', { roomId: ROOM })).chats.map(({ message }) => message);
  await until(async () => (await edited())[0] === 'the', 'it is done', TIMEOUT_MS);
});

test.each(CONTEXTS)('each of two tabs shows the pending chats of the other, until they are sent, %s', async (_, host) => {
  const { context, address, offline, online, stored } = await setUp(host);
  const [first, second] = [await open(context, address), await open(context, address)];
  for (const tab of [first, second]) await heads(tab, 'aya is live');
  await offline(first, second);
  const texts = ['one', 'two', 'three', 'four'];
  for (const [index, text] of texts.entries()) await type(index % 2 === 0 ? first : second, text);
  for (const tab of [first, second])
    await shows(
      tab,
      texts.map((text) => `aya: ${text}, sending`),
    );
  online();
  await until(async () => (await stored()).length === 4, 'all is sent', TIMEOUT_MS);
  const sent = await stored();
  for (const tab of [first, second])
    await shows(
      tab,
      sent.map((text) => `aya: ${text}, sent`),
    );
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect((await stored()).toSorted()).toEqual(texts.toSorted());
});
