/** A demo page that uses the SDK, served to a browser. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { bundleSdk } from './bundle.ts';

/** A page as an application would write it: chats with their states, and separately the entries since it was loaded. */
const DEMO_PAGE = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<h1></h1>
<ol></ol>
<ul></ul>
<form><input></form>
<script type="module">
  import { connect } from './client.js';

  const [heading, chats, told, form] = ['h1', 'ol', 'ul', 'form'].map((name) => document.querySelector(name));
  const line = (text) => Object.assign(document.createElement('li'), { textContent: text });
  const { server, username } = Object.fromEntries(new URLSearchParams(location.search));
  window.shown = [];

  // No top-level await: the page has to finish loading even if it waits for its room.
  connect(server, { storage: localStorage }).join('veranda', { username }).then(enter);

  function enter(room) {
    window.room = room;
    room.on('chat', ({ username, message }) => told.append(line(username + ': ' + message)));
    room.on('change', () => show(room));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      room.send(form.elements[0].value);
      form.reset();
    });
    show(room);
  }

  function show(room) {
    const texts = room.timeline.chats.map(({ username, message, state = 'sent' }) => username + ': ' + message + ', ' + state);
    heading.textContent = room.username + ' is ' + room.state;
    chats.replaceChildren(...texts.map(line));
    shown.push(texts);
  }
</script>
`;

/** Serves the page and the SDK. The query of its URL has `server` and `username`. */
export async function startDemoPage(): Promise<{ port: number }> {
  const client = await bundleSdk();
  const server = createServer(({ url = '' }, response) => {
    const isClient = url.endsWith('.js');
    response.setHeader('content-type', isClient ? 'text/javascript' : 'text/html').end(isClient ? client : DEMO_PAGE);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port };
}
