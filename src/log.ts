/**
 * The worker's log: console and `<log-dir>/worker_<id>.log`, one record one line, in the line format that people's
 * tools have parsed for years: `YYYY-MM-DD HH:MM:SS - cape_worker_<id> - LEVEL - Message` (local time).
 * There is no singleton: whoever needs to log is given a Log.
 */
import { once } from 'node:events';
import type { Logger, transport, format as winstonFormat } from 'winston';
import { CapeError, messageOf } from './core/errors.js';
import { masked, oneLine, safeJson } from './core/text.js';
import type { LogLevel } from './core/values.js';
import { LogFile } from './log/file.js';

/** What rooms are given to speak to people. One call is one line, whatever the message holds. */
export interface Log {
  /** True where nothing that it is told is kept: lines that are told for each issue then need not be made. */
  readonly deaf?: boolean;
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
}

export interface WorkerLog extends Log {
  /** An error that the console hears of in another way. */
  errorInFile(message: string): void;
  /** Writes out what is buffered; later lines are dropped. */
  close(): Promise<void>;
}

export interface LogOptions {
  readonly workerId: string;
  /** Folder of the log file; null: console only. */
  readonly dir: string | null;
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  /** Rotated at this size in bytes (and every midnight). */
  readonly maxSize: number;
  /** Rotated files older than this are removed, and all but as many of the newest. */
  readonly maxDays: number;
  /** Where console lines go; null: nowhere. */
  readonly console: NodeJS.WriteStream | null;
  readonly colors: boolean;
  /** Texts that must never appear in a line, such as the database's password. */
  readonly secrets: readonly string[];
}

export const silent: Log = { deaf: true, error() {}, warn() {}, info() {}, debug() {} };

const LEVELS: Readonly<Record<LogLevel, string>> = { error: 'ERROR', warn: 'WARNING', info: 'INFO', debug: 'DEBUG' };
const COLORS: Readonly<Record<LogLevel, string>> = { error: '31', warn: '33', info: '32', debug: '90' };

/** One record as one line. Exported because the format is a contract with its own test. */
export function formatLine(
  record: { level: LogLevel; message: string; time: Date },
  workerId: string,
  options: { format: 'text' | 'json'; colors: boolean },
): string {
  const message = oneLine(record.message);
  if (options.format === 'json') {
    const logger = `cape_worker_${workerId}`;
    return safeJson({ time: record.time.toISOString(), level: record.level, logger, message });
  }
  const level = LEVELS[record.level];
  const shown = options.colors ? `\u001b[${COLORS[record.level]}m${level}\u001b[0m` : level;
  return `${localTime(record.time)} - cape_worker_${workerId} - ${shown} - ${message}`;
}

function localTime(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/**
 * Opens the log. winston is loaded here and not with this module: commands that log nothing start 60 ms sooner.
 * @throws CapeError `config` where the folder can't be made or written
 */
export async function openLog(options: LogOptions): Promise<WorkerLog> {
  const { createLogger, format, transports } = await import('winston');
  const line = (colors: boolean) =>
    format.printf((record) =>
      formatLine(
        { level: record.level as LogLevel, message: masked(String(record.message), options.secrets), time: new Date() },
        options.workerId,
        { format: options.format, colors },
      ),
    );
  const targets: transport[] = [];
  if (options.console) {
    const shown = format.combine(notInFileOnly(format), line(options.colors));
    targets.push(new transports.Stream({ stream: options.console, format: shown, eol: '\n' }));
  }
  const file = options.dir === null ? null : await openFile(options, options.dir);
  if (file) targets.push(new transports.Stream({ stream: file, format: line(false), eol: '\n' }));
  const logger = createLogger({ level: options.level, transports: targets, silent: targets.length === 0 });
  return {
    error: (message) => void logger.error(message),
    warn: (message) => void logger.warn(message),
    info: (message) => void logger.info(message),
    debug: (message) => void logger.debug(message),
    errorInFile: (message) => void logger.error(message, FILE_ONLY),
    close: () => finish(logger, file),
  };
}

const FILE_ONLY = { fileOnly: true };

/** A format that drops a record by returning false. */
function notInFileOnly(format: typeof winstonFormat): Logger['format'] {
  return format((record) => (record.fileOnly === true ? false : record))();
}

/** Returns when the file is open: one that can't be written is an error now, not a broken worker a moment later. */
async function openFile(options: LogOptions, dir: string): Promise<LogFile> {
  const { workerId, maxSize, maxDays, console } = options;
  const say = (line: string) => {
    const time = new Date();
    if (console) console.write(`${formatLine({ level: 'warn', message: line, time }, workerId, options)}\n`);
  };
  const file = new LogFile({ dir, name: `worker_${workerId}`, maxSize, maxDays, say });
  try {
    await file.open();
    return file;
  } catch (error) {
    throw new CapeError('config', `--log-dir: got "${oneLine(dir)}"; can't write there: ${messageOf(error)}`);
  }
}

/** The logger hands its last lines on before the file is ended. */
async function finish(logger: Logger, file: LogFile | null): Promise<void> {
  const given = once(logger, 'finish');
  logger.end();
  await given;
  if (file) await new Promise<void>((done) => file.end(done));
}
