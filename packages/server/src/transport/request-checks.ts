/** What is checked of an HTTP request or an upgrade by its head alone. */
import type { IncomingMessage } from 'node:http';
import { pages } from './http.ts';
import { type HttpRefusal, methodRefusal, refusals } from './http-refusals.ts';

export const SOCKET_IO = '/socket.io/';

const METHODS = new Map([[SOCKET_IO, 'GET, POST, OPTIONS'], ...[...pages.keys()].map((path) => [path, 'GET, HEAD'] as const)]);

/** Where servers of Socket.IO have its client by default, whole or small, with its source map. */
const LIBRARY = /^socket\.io\.[\w.]*js(?:\.map)?$/;

/** Where a request goes. Of parameters that are there twice the last counts. */
export interface Target {
  path: string;
  query: Record<string, string>;
}

/** Behind a prefix, as `/chat`, everything is where it is without: proxies may take the prefix off, or leave it. */
export function targetOf({ url = '' }: IncomingMessage, prefix = ''): Target {
  const end = url.indexOf('?');
  const path = end === -1 ? url : url.slice(0, end);
  const query = end === -1 ? {} : Object.fromEntries(new URLSearchParams(url.slice(end)));
  if (path === prefix) return { path: '/', query };
  return { path: path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path, query };
}

/** Undefined where nothing is wrong. */
export type Check = (request: IncomingMessage, target: Target) => HttpRefusal | undefined;

/** Pages of other origins than these may ask for nothing; `*` allows all. */
export function checksOf(origins: readonly string[]): Check {
  const isForAll = origins.includes('*');
  const isForeign = ({ headers }: IncomingMessage, path: string): boolean => {
    const origin = headers.origin ?? headers['sec-websocket-origin'];
    if (origin !== undefined) return !origins.includes(String(origin));
    return path === SOCKET_IO && isFromAnotherSite(headers['sec-fetch-site']);
  };
  return (request, { path, query }) => {
    const methods = METHODS.get(path);
    if (methods === undefined) return isLibrary(path) ? refusals.noLibrary : refusals.notFound;
    if (!methods.split(', ').includes(request.method ?? '')) return methodRefusal(methods);
    if (request.httpVersion === '1.1' && request.headers.host === undefined) return refusals.noHost;
    if (!isForAll && isForeign(request, path)) return refusals.origin;
    // A script of any page may read what is answered in this form.
    if (path === SOCKET_IO && Object.hasOwn(query, 'j')) return refusals.jsonp;
    return undefined;
  };
}

const isLibrary = (path: string): boolean => path.startsWith(SOCKET_IO) && LIBRARY.test(path.slice(SOCKET_IO.length));

/** Browsers do not tell the origin of a page that loads a script, an image or a frame; they tell this. */
const isFromAnotherSite = (site: string | string[] | undefined): boolean => site === 'cross-site' || site === 'same-site';
