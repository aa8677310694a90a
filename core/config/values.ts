/**
 * The kinds of values that a configuration has. Each leaf's `error` completes the sentence "expected …", each
 * description becomes the help of an editor (`lazaret config schema`).
 */
import { z } from 'zod';
import { GuestPath } from '../../protocol/index.ts';

export const list = <Item extends z.ZodType>(item: Item) => z.array(item, { error: 'a list' });
export const flag = () => z.boolean({ error: 'true or false' });

export const wholeNumber = (most?: number, least = 1) => {
  const error =
    most === undefined ? `a whole number, at least ${least}` : `a whole number from ${least} to ${most}`;
  const number = z.int({ error }).min(least, { error });
  return most === undefined ? number : number.max(most, { error });
};

export const oneOf = <const Names extends readonly string[]>(names: Names) =>
  z.enum(names, { error: `one of ${names.join(', ')}` });

export const text = (shape: RegExp, error: string) => z.string({ error }).regex(shape, { error });

export const hostPath = () => text(/^\/[^\0]*$/, 'an absolute path on this host, without NUL');

export const guestPath = () => {
  const error = 'an absolute path in the guest, without "." or ".." components';
  return z.string({ error }).refine(isGuestPath, { error });
};

function isGuestPath(path: string): boolean {
  try {
    GuestPath.of(path);
    return true;
  } catch {
    return false;
  }
}

/** How an operator calls a VM, a group, a token. */
export const name = () =>
  text(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'a name of letters, digits, ".", "_" and "-", at most 64 characters',
  );

/** Any 128 bits: a domain's UUID need not be of a version that RFC 9562 knows. */
export const uuid = () =>
  z.guid({ error: 'a UUID such as 4dea22b3-1d52-d8f3-2516-782e98ab3fa0' }).toLowerCase();

/** A pattern of names, as shells have them. */
export const pattern = () => text(/^[^\0/]{1,128}$/, 'a pattern of names, such as web-*');

/** A mapping in which unknown keys are errors; left out, it is as if empty. */
export const mapping = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, { error: 'a mapping' });

/** Entries that must differ in each of `keys`; `noun` is what one is called. */
export const distinct =
  <Key extends string>(keys: readonly Key[], noun: string) =>
  (
    entries: readonly { readonly [key in Key]?: string | undefined }[],
    context: z.core.$RefinementCtx,
  ): void => {
    for (const key of keys) {
      const seen = new Set<string>();
      entries.forEach((entry, index) => {
        const value = entry[key];
        if (value === undefined) return;
        if (seen.has(value)) {
          const message = `a ${key} that no other ${noun} of this list has`;
          context.addIssue({ code: 'custom', path: [index, key], message, input: value });
        }
        seen.add(value);
      });
    }
  };

/** One of two keys is of no use without the other. */
export const pair =
  <Key extends string>(one: Key, other: Key) =>
  (value: { readonly [key in Key]?: unknown }, context: z.core.$RefinementCtx): void => {
    if ((value[one] === undefined) === (value[other] === undefined)) return;
    const [missing, given] = value[one] === undefined ? [one, other] : [other, one];
    const message = `a value, as there is one for ${given}`;
    context.addIssue({ code: 'custom', path: [missing], message, input: undefined });
  };

/** What is wrong here may be a secret: it is not shown. */
export const SECRET = 'file or credential, one of them: a secret is never written in a configuration';

/** Names the file, or the systemd credential, that holds a secret. */
export const secret = () =>
  z
    .strictObject(
      {
        file: hostPath()
          .optional()
          .describe('The file that holds it, readable by the user of lazaret alone.'),
        credential: text(/^[A-Za-z0-9._-]{1,128}$/, 'the name of a systemd credential')
          .optional()
          .describe('Or the credential that the unit loads under this name (LoadCredential=).'),
      },
      { error: SECRET },
    )
    .superRefine(({ file, credential }, context) => {
      if ((file === undefined) !== (credential === undefined)) return;
      context.addIssue({ code: 'custom', message: SECRET, input: undefined });
    });
