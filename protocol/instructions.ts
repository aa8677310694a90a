/**
 * The instructions that the host can give a guest: an OpenC2 action on a target, each with the MITRE D3FEND
 * technique that it carries out (https://d3fend.mitre.org). What is not in this table does not exist: the
 * agent has no generic exec.
 */
export const INSTRUCTIONS = {
  'query:features': { d3fend: undefined, does: 'says what this guest can do' },
  'query:files': { d3fend: 'D3-FA', does: 'lists regular files and their metadata' },
  'query:content': { d3fend: 'D3-FA', does: 'reads file contents' },
  'query:processes': { d3fend: 'D3-PA', does: 'lists processes' },
  'stop:process': { d3fend: 'D3-PT', does: 'terminates one process' },
  'contain:file': { d3fend: 'D3-CQ', does: 'moves one file out of reach, into quarantine' },
  'delete:file': { d3fend: 'D3-FEV', does: 'removes one file' },
  'restore:file': { d3fend: 'D3-RF', does: 'puts a contained file back as it was' },
  'update:file': { d3fend: 'D3-SU', does: 'replaces one file whose old content is known' },
} as const;

export type InstructionName = keyof typeof INSTRUCTIONS;

export const INSTRUCTION_NAMES = Object.keys(INSTRUCTIONS) as InstructionName[];

/** Instructions that change the guest: journalled, idempotent, and sent as commands. */
export const ACTING = ['stop:process', 'contain:file', 'delete:file', 'restore:file', 'update:file'] as const;
export type ActingInstruction = (typeof ACTING)[number];

export const isActing = (name: InstructionName): name is ActingInstruction =>
  (ACTING as readonly InstructionName[]).includes(name);

/** OpenC2's `pairs`: the targets offered for each action. */
export function toPairs(names: Iterable<InstructionName>): Record<string, string[]> {
  const pairs: Record<string, string[]> = {};
  for (const name of names) {
    const [action = '', target = ''] = name.split(':');
    pairs[action] = [...(pairs[action] ?? []), target];
  }
  return pairs;
}

/** The instructions in untrusted `pairs` that this version knows; others are ignored, as a newer agent may have them. */
export function fromPairs(pairs: Readonly<Record<string, readonly string[]>>): Set<InstructionName> {
  return new Set(
    INSTRUCTION_NAMES.filter((name) => {
      const [action = '', target = ''] = name.split(':');
      return Object.hasOwn(pairs, action) && (pairs[action] ?? []).includes(target);
    }),
  );
}
