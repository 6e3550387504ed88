/** The log: pino's JSON lines, or plain lines for a person at a terminal; secrets never reach it. */
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { Log, LogFields } from './world.ts';

export interface LogOptions {
  /** `debug`, `info`, `warn`, `error` or `silent`. */
  readonly level: string;
  /** Default stderr. */
  readonly destination?: 'stdout' | 'stderr';
  /** One plain line per entry instead of JSON. */
  readonly pretty?: boolean;
}

/** Values under these names are replaced wherever they stand, down to the third level. */
export const secretNames = ['password', 'credential', 'ticket', 'token', 'userData', 'authorization'] as const;
const redactedPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

const wrap = (logger: Logger): Log => ({
  debug: (message, fields = {}) => logger.debug(fields, message),
  info: (message, fields = {}) => logger.info(fields, message),
  warn: (message, fields = {}) => logger.warn(fields, message),
  error: (message, fields = {}) => logger.error(fields, message),
  with: (fields) => wrap(logger.child(fields)),
});

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
        level: options.level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: pino.stdSerializers.err, cause: pino.stdSerializers.err },
        redact: { paths: redactedPaths, censor: '[secret]' },
      },
      destination ?? writeTo(options.destination === 'stdout' ? 1 : 2, options.pretty ?? false),
    ),
  );
