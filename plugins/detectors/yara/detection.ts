import type { Detection } from 'lazaret/plugin';
import type { Match } from './scanner.ts';

const NAME_LENGTH = 200;
const ATTACK_KEY = /attack|att_?ck|mitre|technique/i;
const TECHNIQUE = /\bT\d{4}(?:\.\d{3})?\b/g;

/** What a matching rule says. Its metadata is what the rule's author wrote. */
export function toDetection({ rule, meta }: Match, source: string): Detection {
  const attack = Object.entries(meta).flatMap(([key, value]) =>
    ATTACK_KEY.test(key) && typeof value === 'string' ? (value.match(TECHNIQUE) ?? []) : [],
  );
  return {
    judgement: meta.lazaret_judgement === 'suspicious' ? 'suspicious' : 'malicious',
    name: rule.slice(0, NAME_LENGTH),
    source,
    ...(typeof meta.description === 'string' ? { description: meta.description } : {}),
    ...(attack.length > 0 ? { attack: [...new Set(attack)] } : {}),
  };
}
