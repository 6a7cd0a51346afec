// A process of the load generator: follows its commands, and ends with its parent.
import { handleCommands } from '../processes/worker-rpc.ts';
import type { LoadCommand } from './generator.ts';
import { awaitChats, joinReturning, returnAll } from './returning-load.ts';
import { connect, counts, figures, join, measureAcks, runLoad } from './room-load.ts';

handleCommands<LoadCommand>(async (command) => {
  switch (command.do) {
    case 'join':
      return join(command.entrance, command.phase, command.part);
    case 'connect':
      return connect(command.target, command.count, command.concurrency);
    case 'run':
      return runLoad(command);
    case 'counts':
      return counts();
    case 'figures':
      return figures();
    case 'acks':
      return measureAcks(command);
    case 'join-returning':
      return joinReturning(command.phase, command.part);
    case 'await-chats':
      return awaitChats(command.chats);
    case 'return':
      return returnAll(command.url, command.chats);
  }
});
