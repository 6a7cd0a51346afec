import type { Table } from './report/report.ts';

export interface Scenario {
  name: string;
  run(bench: BenchContext): Promise<Table[]>;
}

export interface BenchContext {
  /** Where data folders are made. */
  folder: string;
  /** Small enough that all that is measured beside peers takes two minutes: figures to look at, not to believe. */
  quick: boolean;
  /** Of what is measured beside peers, all by turns in each. */
  rounds: number;
  /** Says on standard error what is going on. */
  progress: (what: string) => void;
}

export const roundsText = ({ rounds }: BenchContext): string =>
  rounds === 1 ? 'One round' : `Medians of ${rounds} rounds, all by turns in each`;
