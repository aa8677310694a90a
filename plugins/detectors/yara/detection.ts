import type { Detection } from 'lazaret/plugin';
import type { Metadata } from './metadata.ts';

const NAME_LENGTH = 200;
const ATTACK_KEY = /attack|att_?ck|mitre|technique/i;
const TECHNIQUE = /\bT\d{4}(?:\.\d{3})?\b/g;

/** What a matching rule says. Its metadata is what the rule's author wrote. */
export function toDetection(rule: string, source: string, metadata: Metadata): Detection {
  const description = metadata.get('description');
  const attack = [...metadata].flatMap(([key, value]) =>
    ATTACK_KEY.test(key) ? (value.match(TECHNIQUE) ?? []) : [],
  );
  return {
    judgement: metadata.get('lazaret_judgement') === 'suspicious' ? 'suspicious' : 'malicious',
    name: rule.slice(0, NAME_LENGTH),
    source,
    ...(description !== undefined && { description }),
    ...(attack.length > 0 && { attack: [...new Set(attack)] }),
  };
}
