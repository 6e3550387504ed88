/** Sizes, ages and moments as people read them. */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
/** `256.0 MiB`; whole bytes below 1 KiB. */
export const sizeText = (bytes: number): string => {
  let value = bytes;
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at++) value /= 1024;
  return at === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[at] ?? ''}`;
};

/** A length of time in at most two units: `45 s`, `4 min`, `2 h 5 min`, `3 d 4 h`. A clock that runs backwards gives `0 s`. */
export const durationText = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
};
export const ageText = (at: number, now: number): string => `${durationText(now - at)} ago`;

/** `2026-11-21 02:14:05Z`: UTC, so that it matches the daemon's log wherever the reader is. */
export const momentText = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')}Z`;

/**
 * Text that came from the wire or from firmware, safe for a terminal: control characters (C0, DEL, C1) and the marks that turn the
 * writing direction would let a stranger move the cursor or rewrite what stands above.
 */
export const plainText = (text: string): string => text.replaceAll(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\u00b7');

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
