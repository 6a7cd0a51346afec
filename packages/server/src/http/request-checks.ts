/** The checks of an HTTP request or upgrade by its head alone: path, method, host and origin. */
import type { IncomingMessage } from 'node:http';
import { type HttpRefusal, methodRefusal, refusals } from './http-refusals.ts';
import { pages } from './routes.ts';

export const SOCKET_IO_PATH = '/socket.io/';

const ALLOWED_METHODS = new Map([[SOCKET_IO_PATH, 'GET, POST, OPTIONS'], ...[...pages.keys()].map((path) => [path, 'GET, HEAD'] as const)]);

/** The paths at which Socket.IO servers offer the client by default, full or minified, with source maps. */
const CLIENT_LIBRARY = /^socket\.io\.[\w.]*js(?:\.map)?$/;

/** Parses the target of a request. If a parameter is repeated, the last one counts. */
export interface RequestTarget {
  path: string;
  query: Record<string, string>;
}

/** Removes the prefix, like `/chat`. Paths without it work, too: a proxy may have removed it. */
export function parseTarget({ url = '' }: IncomingMessage, prefix = ''): RequestTarget {
  const end = url.indexOf('?');
  const path = end === -1 ? url : url.slice(0, end);
  const query = end === -1 ? {} : Object.fromEntries(new URLSearchParams(url.slice(end)));
  if (path === prefix) return { path: '/', query };
  return { path: path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path, query };
}

/** Returns the refusal; undefined if the request is valid. */
export type RequestCheck = (request: IncomingMessage, target: RequestTarget) => HttpRefusal | undefined;

/** Refuses requests of pages of other origins; `*` allows all. */
export function createRequestCheck(origins: readonly string[]): RequestCheck {
  const isAnyOriginAllowed = origins.includes('*');
  const isForeignOrigin = ({ headers }: IncomingMessage, path: string): boolean => {
    const origin = headers.origin ?? headers['sec-websocket-origin'];
    if (origin !== undefined) return !origins.includes(String(origin));
    return path === SOCKET_IO_PATH && isCrossSite(headers['sec-fetch-site']);
  };
  return (request, { path, query }) => {
    const methods = ALLOWED_METHODS.get(path);
    if (methods === undefined) return isClientLibrary(path) ? refusals.noLibrary : refusals.notFound;
    if (!methods.split(', ').includes(request.method ?? '')) return methodRefusal(methods);
    if (request.httpVersion === '1.1' && request.headers.host === undefined) return refusals.noHost;
    if (!isAnyOriginAllowed && isForeignOrigin(request, path)) return refusals.origin;
    // Any page may run such a response as a script, so its origin cannot be checked.
    if (path === SOCKET_IO_PATH && Object.hasOwn(query, 'j')) return refusals.jsonp;
    return undefined;
  };
}

const isClientLibrary = (path: string): boolean =>
  path.startsWith(SOCKET_IO_PATH) && CLIENT_LIBRARY.test(path.slice(SOCKET_IO_PATH.length));

/** Browsers send no origin when a page loads a script, an image or a frame; they send this header. */
const isCrossSite = (site: string | string[] | undefined): boolean => site === 'cross-site' || site === 'same-site';
