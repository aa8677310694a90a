/** By which the one executable knows that it is a part of an agent that runs already. */
export const OWN_PARTS = { reader: '--reader', hand: '--hand' } as const;

export type OwnPart = keyof typeof OWN_PARTS;
