/**
 * The agent's configuration, in which the guest's administrator denies instructions:
 *
 *   deny: [delete:file, update:file]
 *
 * YAML or JSON (which YAML contains). What is not known is an error: a misspelt denial would deny nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Document, LineCounter as Lines } from 'yaml';
import { z } from 'zod';
import { INSTRUCTION_NAMES, type InstructionName } from '../protocol/index.ts';
import { messageOf, StartError } from './error.ts';

export const DEFAULT_CONFIG = '/etc/lazaret-agent.yaml';

/** Without it the host could not learn what is denied. */
const UNDENIABLE: InstructionName = 'query:features';
const deniable = INSTRUCTION_NAMES.filter((name) => name !== UNDENIABLE);

const Config = z.strictObject({ deny: z.array(z.enum(deniable)).default([]) });

export interface AgentConfig {
  readonly deny: ReadonlySet<InstructionName>;
}

/** Reads `file`, or the default place if there is one. Throws StartError (`bad-config`). */
export async function loadConfig(file: string | undefined): Promise<AgentConfig> {
  if (file === undefined && !existsSync(DEFAULT_CONFIG)) return { deny: new Set() };
  const path = file ?? DEFAULT_CONFIG;
  return parseConfig(path, readText(path));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new StartError('bad-config', `${path}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

export async function parseConfig(path: string, text: string): Promise<AgentConfig> {
  // Loaded only where there is a configuration, which spares the memory everywhere else.
  const { LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [syntax] = document.errors;
  if (syntax) throw new StartError('bad-config', `${path}: ${syntax.message}`, { cause: syntax });
  const result = Config.safeParse(document.toJS() ?? {});
  if (result.success) return { deny: new Set(result.data.deny) };
  const faults = result.error.issues.map((issue) => `${path}${describe(issue, document, lines)}`);
  throw new StartError('bad-config', faults.join('\n'), { cause: result.error });
}

/** `:LINE: key "KEY": what was expected` */
function describe(issue: z.core.$ZodIssue, document: Document, lines: Lines): string {
  const key = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
  const line = lineOf(key as (string | number)[], document, lines);
  const expected = issue.code === 'unrecognized_keys' ? 'unknown; the only key is "deny"' : issue.message;
  return `${line}: key "${key.join('.')}": ${expected}`;
}

function lineOf(key: readonly (string | number)[], document: Document, lines: Lines): string {
  const node = document.getIn(key, true);
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
  return Array.isArray(range) ? `:${lines.linePos(range[0] as number).line}` : '';
}
