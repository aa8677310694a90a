/** Quantities as people read them. */
import { MOST_COUNTED } from '../../protocol/index.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `512 B`, `1.5 MiB`; a count that is full (`protocol/count.ts`) is told as such. */
export function formatBytes(bytes: number): string {
  if (bytes >= MOST_COUNTED) return '8 PiB or more';
  let unit = 0;
  let amount = bytes;
  while (amount >= 1023.95 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${UNITS[unit]}`;
}

/** `1,234,567` */
export const formatCount = (count: number): string => count.toLocaleString('en-US');

/** `1 file`, `2 files` */
export const formatNumber = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min` */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** `2026-11-22 21:04:08Z` from milliseconds since 1970, or `no date`: the range of dates ends where numbers go on. */
export function formatTime(time: number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return 'no date';
  return date.toISOString().replace('T', ' ').replace(/\.\d+/, '');
}
