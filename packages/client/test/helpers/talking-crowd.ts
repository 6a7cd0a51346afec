/** People of both kinds who talk without a pause, through whatever happens to their server. */
import { expect } from 'vitest';
import type { FaultyProxy } from '../../../server/test/helpers/proxy.ts';
import { openAt } from '../../../server/test/helpers/stores.ts';
import { until } from '../../../server/test/helpers/waiting.ts';
import type { Person, SdkPerson, StockPerson } from './people.ts';
import { Scene } from './scene.ts';
import type { ServerProcess } from './server-process.ts';

export interface Crowd {
  scene: Scene;
  sdk: SdkPerson[];
  stock: StockPerson[];
  all: Person[];
  /** Ends the talking. */
  hush: () => void;
}

export async function talkingCrowd({ url }: FaultyProxy): Promise<Crowd> {
  const scene = new Scene();
  const sdk = [await scene.enter('aya', url), await scene.enter('ben', url)];
  const stock = [await scene.enterStock('chiyo', url), await scene.enterStock('dan', url)];
  const all = [...sdk, ...stock];
  const hushes = all.map((person) => person.talk());
  const hush = () => {
    for (const each of hushes) each();
  };
  return { scene, sdk, stock, all, hush };
}

/** Everybody lost the connection so often, and is here again. */
export const areBack = ({ all }: Crowd, drops: number): Promise<void> =>
  until(() => all.every((each) => each.drops >= drops && each.isHere), 'all are back', 20_000);

/** All is calm; then the server stops, and what it leaves is looked at. */
export async function endsWell({ scene, hush }: Crowd, server: ServerProcess, place: string): Promise<void> {
  hush();
  await scene.calm();
  await server.stop();
  expect(await scene.faults(await openAt(place))).toEqual([]);
}
