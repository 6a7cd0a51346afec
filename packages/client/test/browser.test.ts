/** The SDK in a real browser, against a real server, over a network with faults. */

import { collectEvents, connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import type { Page } from 'playwright-core';
import type { Socket } from 'socket.io-client';
import { expect, test, vi } from 'vitest';
import { openBrowser } from './helpers/browser.ts';
import { startDemoPage } from './helpers/demo-page.ts';

vi.setConfig({ testTimeout: 60_000 });

const ROOM = 'veranda';
/** The delay between attempts to connect can be ten seconds. */
const TIMEOUT_MS = 20_000;

/** Console messages of the browser about a failed network. */
const OF_THE_NETWORK =
  /^(WebSocket (connection to '[^']+' failed|is already in CLOSING or CLOSED state)|Failed to load resource: net::ERR_)/;

/** Aya has a page that reaches the server through a faulty network; Ben is in the room, too. */
async function setUp(host: string) {
  const { url } = await startServer();
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const ben = await connect(url);
  await requestOk(ben, 'create:room', { roomId: ROOM, username: 'ben' });
  const [context, site] = await Promise.all([openBrowser(), startDemoPage()]);
  const page = await context.newPage();
  const errors = errorsOf(page);
  const server = `http://${host}:${new URL(proxy.url).port}`;
  await page.goto(`http://${host}:${site.port}/?username=aya&server=${encodeURIComponent(server)}`);
  await heads(page, 'aya is live');
  return { page, errors, proxy, ben };
}

function errorsOf(page: Page): string[] {
  const errors: string[] = [];
  page.on('pageerror', ({ message }) => errors.push(message));
  page.on('console', (said) => {
    if (said.type() === 'error' && !OF_THE_NETWORK.test(said.text())) errors.push(said.text());
  });
  return errors;
}

async function heads(page: Page, wanted: string): Promise<void> {
  await until(async () => (await page.locator('h1').textContent()) === wanted, `the page says ${wanted}`, TIMEOUT_MS);
}

const chats = (page: Page): Promise<string[]> => page.locator('ol li').allTextContents();
const received = (page: Page): Promise<string[]> => page.locator('ul li').allTextContents();

async function shows(page: Page, wanted: string[]): Promise<void> {
  const text = wanted.join('\n');
  await until(async () => (await chats(page)).join('\n') === text, `the page shows ${text}`, TIMEOUT_MS);
}

async function type(page: Page, text: string): Promise<void> {
  await page.fill('input', text);
  await page.press('input', 'Enter');
}

async function putBehindAnother(page: Page): Promise<void> {
  await page.context().newPage();
  await until(() => page.evaluate<boolean>('document.hidden'), 'the page is hidden');
}

const say = (ben: Socket, message: string) => requestOk(ben, 'create:chat', { roomId: ROOM, username: 'ben', message });

async function stored(ben: Socket): Promise<string[]> {
  const { chats: all } = await requestOk(ben, 'list:chats', { roomId: ROOM });
  return all.map(({ username, message }) => `${username}: ${message}`);
}

const sent = (texts: string[]): string[] => texts.map((text) => `${text}, sent`);
const sending = (texts: string[]): string[] => texts.map((text) => `${text}, sending`);

test('a page that is reloaded while disconnected rejoins under its name, receives missed entries once, and sends its pending chats', async () => {
  const { page, errors, proxy, ben } = await setUp('localhost');
  const comings = [collectEvents(ben, 'add:member:success'), collectEvents(ben, 'remove:member:success')];
  await say(ben, 'seen');
  await shows(page, sent(['ben: seen']));
  proxy.refuse(true);
  proxy.cut();
  await heads(page, 'aya is offline');
  await type(page, 'typed one');
  await type(page, 'typed two');
  await shows(page, [...sent(['ben: seen']), ...sending(['aya: typed one', 'aya: typed two'])]);
  await say(ben, 'missed one');
  await say(ben, 'missed two');
  await page.reload();
  expect(await chats(page)).toEqual([]);
  proxy.refuse(false);
  const news = ['ben: missed one', 'ben: missed two', 'aya: typed one', 'aya: typed two'];
  await shows(page, sent(['ben: seen', ...news]));
  await heads(page, 'aya is live');
  expect(await received(page)).toEqual(news);
  expect(await stored(ben)).toEqual(['ben: seen', ...news]);
  expect(comings).toEqual([[], []]);
  expect(errors).toEqual([]);
});

test('a page that is disconnected for a while shows its chats as sending, then as sent, in order and once', async () => {
  const { page, errors, proxy, ben } = await setUp('localhost');
  const texts = ['one', 'two', 'three'].map((text) => `aya: ${text}`);
  proxy.refuse(true);
  proxy.cut();
  await heads(page, 'aya is offline');
  for (const text of ['one', 'two', 'three']) await type(page, text);
  await shows(page, sending(texts));
  proxy.refuse(false);
  await shows(page, sent(texts));
  const shown = await page.evaluate<string[][]>('shown');
  for (const each of shown) expect(each.map((line) => line.replace(/, \w+$/, ''))).toEqual(texts.slice(0, each.length));
  for (const [at, text] of texts.entries()) {
    const lines = shown.flatMap((each) => each[at] ?? []);
    expect([...new Set(lines)]).toEqual([...sending([text]), ...sent([text])]);
    expect(lines).toEqual(lines.toSorted());
  }
  expect(await stored(ben)).toEqual(texts);
  expect(errors).toEqual([]);
});

test('a background tab resumes at once when it is shown, and replaces a dead connection', async () => {
  const { page, errors, proxy, ben } = await setUp('localhost');
  await putBehindAnother(page);
  proxy.stall(true);
  await say(ben, 'missed');
  expect(await page.locator('h1').textContent()).toBe('aya is live');
  await page.bringToFront();
  await heads(page, 'aya is catching up');
  await heads(page, 'aya is offline');
  expect(await chats(page)).toEqual([]);
  proxy.stall(false);
  await shows(page, sent(['ben: missed']));
  await heads(page, 'aya is live');
  expect(await received(page)).toEqual(['ben: missed']);
  expect(errors).toEqual([]);
});

test('a frozen tab shows the missed entries as soon as it runs again', async () => {
  const { page, errors, ben } = await setUp('localhost');
  const devtools = await page.context().newCDPSession(page);
  await putBehindAnother(page);
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  for (const message of ['missed one', 'missed two']) await say(ben, message);
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  await page.bringToFront();
  const missed = ['ben: missed one', 'ben: missed two'];
  await shows(page, sent(missed));
  await heads(page, 'aya is live');
  expect(await received(page)).toEqual(missed);
  expect(errors).toEqual([]);
});

/** The driver loses a page in the back/forward cache, so the page reports in the room how it was shown again. */
const SAYS_HOW_IT_CAME_BACK = `
  addEventListener('pageshow', ({ persisted }) => {
    const shown = performance.now();
    const look = () => {
      if (document.querySelector('h1').textContent !== 'aya is live') return requestAnimationFrame(look);
      const took = Math.round(performance.now() - shown);
      const chats = Array.from(document.querySelectorAll('ol li'), ({ textContent }) => textContent);
      document.querySelector('input').value = JSON.stringify({ persisted, took, chats });
      document.querySelector('form').requestSubmit();
    };
    look();
  });
`;

test.each([
  ['a few seconds', 5_000, 300],
  ['a minute', 60_000, 300],
])(
  'a page that is left by a link is offline within a second, and live at once when it is shown again after %s',
  {
    timeout: 150_000,
  },
  async (_, away, most) => {
    const { page, errors, ben } = await setUp('localhost');
    const presences = collectEvents(ben, 'update:presence:success');
    const chats = collectEvents(ben, 'create:chat:success');
    await page.evaluate(SAYS_HOW_IT_CAME_BACK);
    const left = performance.now();
    await page.goto(`http://localhost:${new URL(page.url()).port}/elsewhere?username=nobody&server=http://localhost:9`);
    await until(() => presences.at(-1)?.presence === 'offline', 'the others see that she is gone');
    const seen = performance.now() - left;
    await new Promise((resolve) => setTimeout(resolve, away));
    await say(ben, 'missed');
    await page.evaluate('void setTimeout(() => history.back())');
    await until(() => chats.length === 2, 'she is live again', TIMEOUT_MS);
    const back = JSON.parse(String(chats.at(-1)?.message)) as { persisted: boolean; took: number; chats: string[] };
    console.log(`gone after ${Math.round(seen)} ms, live again in ${back.took} ms`);
    expect(back).toMatchObject({ persisted: true, chats: sent(['ben: missed']) });
    expect(seen).toBeLessThan(1_000);
    expect(back.took).toBeLessThan(most);
    expect(errors).toEqual([]);
  },
);

test('a page without a secure context joins, sends and receives', async () => {
  const { page, errors, ben } = await setUp('chat.test');
  expect(await page.evaluate('[isSecureContext, typeof crypto.randomUUID]')).toEqual([false, 'undefined']);
  await type(page, 'hello');
  await shows(page, sent(['aya: hello']));
  await say(ben, 'welcome');
  await shows(page, sent(['aya: hello', 'ben: welcome']));
  expect(errors).toEqual([]);
});
