/** A store that counts its calls. */
import type { Store } from '@engawa/server';
import { withOverrides } from '@engawa/testkit/processes/server';

type CountedOperation = 'read' | 'readPage' | 'listTickets' | 'append';

/** The store, and the number of its calls. */
export function createCountingStore(store: Store): { store: Store; calls: Record<CountedOperation, number>; reset: () => void } {
  const calls = { read: 0, readPage: 0, listTickets: 0, append: 0 };
  const count =
    <Name extends CountedOperation>(name: Name) =>
    (...args: Parameters<Store[Name]>) => {
      calls[name] += 1;
      return (store[name] as (...all: Parameters<Store[Name]>) => ReturnType<Store[Name]>)(...args);
    };
  const faults = {
    read: count('read'),
    readPage: count('readPage'),
    listTickets: count('listTickets'),
    append: count('append'),
  } as Partial<Store>;
  return {
    store: withOverrides(store, faults),
    calls,
    reset: () => void Object.assign(calls, { read: 0, readPage: 0, listTickets: 0, append: 0 }),
  };
}
