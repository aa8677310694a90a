/** How long a one-time token is good for, in milliseconds. */
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

export const TOKEN_LIFETIME = { default: DAY, least: MINUTE, most: 90 * DAY } as const;
