// What a scenario is, and how several rounds of it are measured.
import type { Table } from './report/report.ts';
import { medians } from './report/statistics.ts';

export interface Scenario {
  name: string;
  run(bench: BenchContext): Promise<Table[]>;
}

export interface BenchContext {
  /** Parent of the data folders. */
  folder: string;
  /** Small and short: figures that show whether it works, and are no measurement. */
  quick: boolean;
  /** Rounds of what is measured beside other servers. */
  rounds: number;
  /** Reports the progress on standard error. */
  progress: (text: string) => void;
}

export const roundsText = ({ rounds }: BenchContext): string =>
  rounds === 1 ? 'One round' : `Medians of ${rounds} rounds, in each of which all took turns`;

/** Measures all cases once in each round, so that a change of the machine affects all of them. Returns the medians. */
export async function measureInTurn<Case, Figure extends string>(
  cases: readonly Case[],
  rounds: number,
  measure: (each: Case) => Promise<Record<Figure, number>>,
): Promise<Record<Figure, number>[]> {
  const measured = cases.map((): Record<Figure, number>[] => []);
  for (let round = 0; round < rounds; round += 1) for (const [index, each] of cases.entries()) measured[index]?.push(await measure(each));
  return measured.map(medians);
}
