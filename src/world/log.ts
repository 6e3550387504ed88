/** The log: pino's JSON lines, or plain lines for a person at a terminal; secrets never reach it. */
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { Log, LogFields } from './world.ts';

export interface LogOptions {
  /** `debug`, `info`, `warn`, `error` or `silent`; in an object that its owner may change while the log is used. */
  readonly level: string | { readonly current: string };
  /** Default stderr. */
  readonly destination?: 'stdout' | 'stderr';
  /** One plain line per entry instead of JSON. */
  readonly pretty?: boolean;
}

/** Values under these names are replaced wherever they stand, down to the third level. */
export const secretNames = ['password', 'credential', 'ticket', 'token', 'userData', 'authorization'] as const;
const redactedPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

const ranks = ['debug', 'info', 'warn', 'error'] as const;
type Rank = (typeof ranks)[number];
/** `hears` is asked at each entry: a child of pino's would keep the level of its birth. */
const wrap = (logger: Logger, hears: (rank: Rank) => boolean): Log => ({
  debug: (message, fields = {}) => void (hears('debug') && logger.debug(fields, message)),
  info: (message, fields = {}) => void (hears('info') && logger.info(fields, message)),
  warn: (message, fields = {}) => void (hears('warn') && logger.warn(fields, message)),
  error: (message, fields = {}) => void (hears('error') && logger.error(fields, message)),
  with: (fields) => wrap(logger.child(fields), hears),
});
const hearing =
  (level: LogOptions['level']) =>
  (rank: Rank): boolean => {
    const least = ranks.findIndex((one) => one === (typeof level === 'string' ? level : level.current));
    return least >= 0 && ranks.indexOf(rank) >= least;
  };

/** `12:00:01.250 info  lease given mac=52:54:00:12:34:56`; what is no JSON is passed on as it is. */
export const prettyLine = (line: string): string => {
  let entry: LogFields;
  try {
    entry = JSON.parse(line) as LogFields;
  } catch {
    return line;
  }
  const { level, time, msg, ...fields } = entry;
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}${rest.join('')}\n`;
};

/** Writes at once, so that the last words before a crash are there; a full pipe or a closed terminal loses lines, never the daemon. */
const writeTo = (fd: number, pretty: boolean): DestinationStream => ({
  write: (line) => {
    try {
      writeSync(fd, pretty ? prettyLine(line) : line);
    } catch {
      // EAGAIN, EPIPE: nobody reads, and a log has nobody to complain to.
    }
  },
});

/** The log of the process; `destination` in place of a standard stream is for tests. */
export const realLog = (options: LogOptions, destination?: DestinationStream): Log =>
  wrap(
    pino(
      {
        level: 'debug',
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: pino.stdSerializers.err, cause: pino.stdSerializers.err },
        redact: { paths: redactedPaths, censor: '[secret]' },
      },
      destination ?? writeTo(options.destination === 'stdout' ? 1 : 2, options.pretty ?? false),
    ),
    hearing(options.level),
  );
