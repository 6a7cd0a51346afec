/** connect(): creates a client. */
import { Client, type ClientOptions } from './client.ts';

/**
 * Creates a client of the server at this URL. It connects at the first listener or request, and reconnects after every drop until
 * it is closed.
 */
export const connect = (url: string, options: ClientOptions = {}): Client => new Client(url, options);
