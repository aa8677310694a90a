/** Settings that a group lays over those of all VMs: the same keys, none of them needed, none with a default. */
import { z } from 'zod';

/** Lists and values are replaced, mappings are added to. */
export type Overlay<T> = {
  readonly [Key in keyof T]?: T[Key] extends readonly unknown[] | string | number | boolean | undefined
    ? T[Key]
    : Overlay<T[Key]>;
};

/** The schema of such settings. */
export function overlayOf<Base extends z.ZodObject>(base: Base): z.ZodType<Overlay<z.output<Base>>> {
  const fields = Object.entries(base.shape).map(([key, field]) => {
    const bare = withoutDefault(field as z.ZodType);
    const laid = bare instanceof z.ZodObject ? overlayOf(bare) : bare;
    const { description } = field as z.ZodType;
    return [key, description === undefined ? laid.optional() : laid.optional().describe(description)];
  });
  return z.strictObject(Object.fromEntries(fields), { error: 'a mapping' }) as never;
}

function withoutDefault(field: z.ZodType): z.ZodType {
  let bare = field;
  while (bare instanceof z.ZodDefault || bare instanceof z.ZodPrefault || bare instanceof z.ZodOptional) {
    bare = bare.unwrap() as z.ZodType;
  }
  return bare;
}

/** `base` with what `overlay` says in its place. */
export function laidOver<T extends object>(base: T, overlay: Overlay<NoInfer<T>>): T {
  return layOver(base as Mapping, overlay as Mapping) as T;
}

type Mapping = Readonly<Record<string, unknown>>;

function layOver(base: Mapping, overlay: Mapping): Mapping {
  const given = Object.entries(overlay).filter(([, value]) => value !== undefined);
  const laid = given.map(([key, value]) => {
    const before = base[key];
    return [key, isMapping(before) && isMapping(value) ? layOver(before, value) : value] as const;
  });
  return { ...base, ...Object.fromEntries(laid) };
}

const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
