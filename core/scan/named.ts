/**
 * The findings that a report names: the first ones, with what is planned about each. However many a guest is full of,
 * no more than these are held in memory; all of them are in the records.
 */
import type { PlannedStep, WithheldStep } from '../control/plan.ts';
import type { FindingRecord } from '../store/records.ts';

export const MOST_NAMED = 1_000;
/** Of all of them as JSON: a guest makes paths long. */
export const MOST_NAMED_CHARACTERS = 512 * 1024;

export interface Plan {
  readonly steps: readonly PlannedStep[];
  readonly withheld: readonly WithheldStep[];
}

export class NamedFindings {
  private readonly records = new Map<string, FindingRecord>();
  private readonly plans = new Map<string, Plan>();
  private readonly mostCharacters: number;
  private characters = 0;
  private isFull = false;

  constructor(mostCharacters = MOST_NAMED_CHARACTERS) {
    this.mostCharacters = mostCharacters;
  }

  /** In the order in which they were found. */
  get findings(): FindingRecord[] {
    return [...this.records.values()];
  }

  get plan(): Plan {
    const plans = [...this.plans.values()];
    return {
      steps: plans.flatMap(({ steps }) => steps),
      withheld: plans.flatMap(({ withheld }) => withheld),
    };
  }

  /** What is known of a finding by now; it stays where it was. Nothing when it is not one of the first. */
  note(record: FindingRecord): void {
    const before = this.records.get(record.id);
    if (!before && this.isFull) return;
    this.characters += charactersOf(record) - (before ? charactersOf(before) : 0);
    this.records.set(record.id, record);
    // The first that passes the bound is the last one: what is said of it later does not matter much.
    this.isFull ||= this.records.size >= MOST_NAMED || this.characters >= this.mostCharacters;
  }

  /** What was planned for one that is answered again, as more is known of it, does not hold any more. */
  planFor(finding: string, plan: Plan): void {
    if (!this.records.has(finding)) return;
    this.plans.delete(finding);
    this.plans.set(finding, plan);
  }
}

const charactersOf = (record: FindingRecord): number => JSON.stringify(record).length;
