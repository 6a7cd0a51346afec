/** The types of Socket.IO's server and sockets whose `data` is a connection of the chat node. */
import type { DefaultEventsMap, Server, Socket } from 'socket.io';
import type { Connection } from '../connections/connection.ts';

export type ChatSocketServer = Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, Connection>;
/** Its `data` is set when the client is admitted. */
export type ChatSocket = Socket<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, Connection>;
