import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  AgentLine,
  ContentFailure,
  ContentRequest,
  DigestLine,
  FileFacts,
  Grant,
  InventoryLine,
  InventoryRequest,
  LoginAnswer,
  PieceLine,
  PieceRequest,
  ProcessLine,
  ProcessRequest,
  Refusal,
} from './messages.ts';
import { decodeCommand, FeaturesResponse, OutcomeResponse } from './openc2.ts';

const README = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
const SCHEMAS: z.ZodType[] = [
  ...[AgentLine, LoginAnswer, Refusal, Grant, InventoryRequest, InventoryLine, ContentRequest, ProcessLine],
  ...[ProcessRequest, DigestLine, PieceRequest, PieceLine, FeaturesResponse, OutcomeResponse],
];

/** A block is one message or a message a line. */
function messagesOf(block: string): unknown[] {
  try {
    return [JSON.parse(block)];
  } catch {
    return block
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }
}

const examples = [...README.matchAll(/```json\n(.*?)```/gs)].flatMap(([, block = '']) => messagesOf(block));

function isCommand(message: unknown): boolean {
  try {
    decodeCommand(Buffer.from(JSON.stringify(message)));
    return true;
  } catch {
    return false;
  }
}

/** It fits a schema, and that schema knows every field of it. */
const fits =
  (message: unknown) =>
  (schema: z.ZodType): boolean => {
    const result = schema.safeParse(message);
    return result.success && JSON.stringify(result.data) === JSON.stringify(message);
  };

describe('the examples of the README', () => {
  it('are there', () => {
    expect(examples.length).toBeGreaterThan(15);
  });

  it.each(examples.map((example) => [JSON.stringify(example).slice(0, 60), example]))(
    '%s',
    (_name, example) => {
      expect(isCommand(example) || SCHEMAS.some(fits(example))).toBe(true);
    },
  );

  it('of records have the length that they say', () => {
    const records = [...README.matchAll(/^0[1-4] [0-9a-f]{8} ([0-9a-f]{8}) ?(.*)$/gm)];
    expect(records).toHaveLength(4);
    for (const [, length = '', payload = ''] of records) {
      expect(Number.parseInt(length, 16)).toBe(payload.length);
      if (payload.startsWith('{'))
        expect([FileFacts, ContentFailure].some(fits(JSON.parse(payload)))).toBe(true);
    }
  });
});
