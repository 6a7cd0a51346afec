import { Client, type ClientOptions } from './client.ts';

/** A client of the server at this URL. It connects once it is listened to or asked for something, and comes back after every drop until it is closed. */
export const connect = (url: string, options: ClientOptions = {}): Client => new Client(url, options);
