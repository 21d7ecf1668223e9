/**
 * The worker's log: console and `<log-dir>/worker_<id>.log`, one record one line, in the line format that people's
 * tools have parsed for years: `YYYY-MM-DD HH:MM:SS - cape_worker_<id> - LEVEL - Message` (local time).
 * There is no singleton: whoever needs to log is given a Log.
 */
import { type EventEmitter, once } from 'node:events';
import { lstatSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger, transport, format as winstonFormat } from 'winston';
import { CapeError, messageOf } from './core/errors.js';
import { oneLine, safeJson } from './core/text.js';
import type { LogLevel } from './core/values.js';

/** What rooms are given to speak to people. One call is one line, whatever the message holds. */
export interface Log {
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
  /** Rotated files older than this are removed. */
  readonly maxDays: number;
  /** Where console lines go; null: nowhere. */
  readonly console: NodeJS.WriteStream | null;
  readonly colors: boolean;
  /** Texts that must never appear in a line, such as the database's password. */
  readonly secrets: readonly string[];
}

export const silent: Log = { error() {}, warn() {}, info() {}, debug() {} };

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
        { level: record.level as LogLevel, message: mask(String(record.message), options.secrets), time: new Date() },
        options.workerId,
        { format: options.format, colors },
      ),
    );
  const targets: transport[] = [];
  if (options.console) {
    const shown = format.combine(notInFileOnly(format), line(options.colors));
    targets.push(new transports.Stream({ stream: options.console, format: shown, eol: '\n' }));
  }
  if (options.dir !== null) targets.push(await fileTransport(options, options.dir, line(false)));
  const logger = createLogger({ level: options.level, transports: targets, silent: targets.length === 0 });
  return {
    error: (message) => void logger.error(message),
    warn: (message) => void logger.warn(message),
    info: (message) => void logger.info(message),
    debug: (message) => void logger.debug(message),
    errorInFile: (message) => void logger.error(message, FILE_ONLY),
    close: () => finish(logger),
  };
}

const FILE_ONLY = { fileOnly: true };

/** A format that drops a record by returning false. */
function notInFileOnly(format: typeof winstonFormat): Logger['format'] {
  return format((record) => (record.fileOnly === true ? false : record))();
}

/** Returns when the file is open: one that can't be written is an error now, not a broken worker a moment later. */
async function fileTransport(options: LogOptions, dir: string, line: Logger['format']): Promise<transport> {
  const { default: DailyRotateFile } = await import('winston-daily-rotate-file');
  const name = `worker_${options.workerId}`;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o750 });
    moveAside(join(dir, `${name}.log`));
    const target = new DailyRotateFile({
      dirname: dir,
      filename: `${name}-%DATE%`,
      extension: '.log',
      datePattern: 'YYYY-MM-DD',
      maxSize: `${Math.ceil(options.maxSize / 1024)}k`,
      maxFiles: `${options.maxDays}d`,
      auditFile: join(dir, `.${name}-audit.json`),
      createSymlink: true,
      symlinkName: `${name}.log`,
      format: line,
      // A line shows the beginning of an issue's text.
      options: { flags: 'a', mode: 0o640 },
    });
    const { logStream } = target as unknown as RotatingFile;
    await once(logStream, 'open');
    sayOnce([target, logStream], (error) => options.console?.write(`log file in ${dir}: ${messageOf(error)}\n`));
    return target;
  } catch (error) {
    throw new CapeError('config', `--log-dir: got "${oneLine(dir)}"; can't write there: ${messageOf(error)}`);
  }
}

/**
 * A full disk must not end the worker. Said on the console: the file is the thing that fails. The transport does not
 * pass on the errors of its stream, which end the process where nobody listens.
 */
function sayOnce(emitters: readonly EventEmitter[], say: (error: unknown) => void): void {
  let said = false;
  for (const emitter of emitters) {
    emitter.on('error', (error) => {
      if (!said) say(error);
      said = true;
    });
  }
}

/** The plain name is a link to the current file. A plain file of that name, left by another program, is kept beside. */
function moveAside(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) renameSync(path, `${path}.${found.mtimeMs.toFixed(0)}`);
}

function mask(message: string, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => (secret === '' ? text : text.replaceAll(secret, '***')), message);
}

/**
 * The transport's own 'finish' says that the rotating stream was given the last line, not that it is on disk: a program
 * that leaves upon it loses its last lines. That stream has to be ended as well.
 */
async function finish(logger: Logger): Promise<void> {
  const files = logger.transports.filter((target) => 'logStream' in target) as unknown as RotatingFile[];
  const given = once(logger, 'finish');
  logger.end();
  await given;
  await Promise.all(files.map(({ logStream }) => new Promise<void>((done) => logStream.end(done))));
}

interface RotatingFile {
  readonly logStream: EventEmitter & { end(done: () => void): void };
}
