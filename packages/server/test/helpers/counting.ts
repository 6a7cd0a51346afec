import type { Store } from '@engawa/server';
import { withFault } from './server.ts';

type Counted = 'read' | 'page' | 'tickets' | 'append';

/** The store, and how often it was asked. */
export function counting(store: Store): { store: Store; asked: Record<Counted, number>; reset: () => void } {
  const asked = { read: 0, page: 0, tickets: 0, append: 0 };
  const count =
    <Name extends Counted>(name: Name) =>
    (...args: Parameters<Store[Name]>) => {
      asked[name] += 1;
      return (store[name] as (...all: Parameters<Store[Name]>) => ReturnType<Store[Name]>)(...args);
    };
  const faults = { read: count('read'), page: count('page'), tickets: count('tickets'), append: count('append') } as Partial<Store>;
  return { store: withFault(store, faults), asked, reset: () => void Object.assign(asked, { read: 0, page: 0, tickets: 0, append: 0 }) };
}
