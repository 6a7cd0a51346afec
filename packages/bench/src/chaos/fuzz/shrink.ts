// Finds the case that caused a fault, and reduces it to as few packets as possible.
import { withTempFolder } from '../../processes/child-processes.ts';
import { withServerUnderTest } from '../server-under-test.ts';
import type { FuzzOptions } from './fuzz.ts';
import type { FuzzCase, Visit } from './fuzz-case.ts';
import { runCase } from './run-case.ts';

type Place = Pick<FuzzOptions, 'folder' | 'rateLimits'>;

const MAX_TRIALS = 60;

/** The fault that a case causes alone on a new server; undefined if there is none. */
export const faultOf = (each: FuzzCase, { folder, rateLimits }: Place): Promise<string | undefined> =>
  withTempFolder(folder, (data) =>
    withServerUnderTest({ folder: data, rateLimits }, async (server) => {
      const { fault } = await runCase(server.target, each);
      const isHealthy = await server.isHealthy();
      return isHealthy ? (server.log.errors[0] ?? fault) : `the server has ended or hangs: ${server.log.tail}`;
    }),
  );

/** The first suspect that causes a fault alone, without its unnecessary packets. */
export async function shrink(suspects: readonly FuzzCase[], place: Place): Promise<{ culprit: FuzzCase; fault: string } | undefined> {
  for (const suspect of suspects) {
    const fault = await faultOf(suspect, place);
    if (fault !== undefined) return { culprit: await smallest(suspect, place), fault };
  }
  return undefined;
}

/** Removes halves, quarters and so on of the packets of each connection, while the fault persists. */
async function smallest(found: FuzzCase, place: Place): Promise<FuzzCase> {
  let culprit = found;
  let trials = 0;
  const stillFails = async (candidate: FuzzCase): Promise<boolean> => {
    trials += 1;
    return trials <= MAX_TRIALS && (await faultOf(candidate, place)) !== undefined;
  };
  const lengthOf = (index: number): number => culprit.visits[index]?.packets.length ?? 0;
  for (const index of found.visits.keys()) {
    for (let size = Math.ceil(lengthOf(index) / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < lengthOf(index); ) {
        const candidate = without(culprit, index, { at, size });
        if (await stillFails(candidate)) culprit = candidate;
        else at += size;
      }
    }
  }
  return culprit;
}

function without(each: FuzzCase, index: number, { at, size }: { at: number; size: number }): FuzzCase {
  const shorten = (visit: Visit): Visit => ({ ...visit, packets: visit.packets.toSpliced(at, size) });
  return { ...each, visits: each.visits.map((visit, place) => (place === index ? shorten(visit) : visit)) };
}
