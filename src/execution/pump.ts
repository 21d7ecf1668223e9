/** Moves what a command prints from its pipe into its sink, one buffer at a time. */
import { closeSync, readlinkSync, readSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { within } from './clock.js';
import { hasProc } from './processes.js';
import type { Sink } from './sink.js';
import { killHolders } from './sweep.js';

const BUFFER_SIZE = 64 * 1024;
/** Buffers used again: with a new one per run the spawn rate was a tenth lower, with 'data' events memory doubled. */
const spareBuffers: Buffer[] = [];

/**
 * So long a command runs before its pipe is listened to; the pipe itself holds 64 KiB meanwhile. What has ended by then
 * is read in one go, without a socket, without a file where it printed nothing.
 */
const ATTACH_MS = 20;
/** A pipe holds 64 KiB, or a MiB where the command has asked for it. */
const MOST_READS = 17;
/** After the end of the processes the pipe should close at once; whoever holds it longer is left over. */
const CLOSE_MS = 200;
/** Without holders only a slow disk is in the way. */
const FLUSH_MS = 5000;

export class Pump {
  readonly sink: Sink;
  /** When the last byte came, milliseconds of the monotonic clock. */
  lastOutput: number;

  readonly #fd: number;
  readonly #clock: () => number;
  readonly #attaching: NodeJS.Timeout;
  #stream: PipeStream | null = null;

  /** @param fd the reading end of the pipe, non-blocking, ours from now on */
  constructor(fd: number, sink: Sink, clock: () => number) {
    this.sink = sink;
    this.lastOutput = clock();
    this.#fd = fd;
    this.#clock = clock;
    this.#attaching = setTimeout(() => this.#attach(), ATTACH_MS);
  }

  /**
   * Reads to the end and closes. Processes that still hold the pipe are killed: whatever else they have shed
   * (group, environment), they came from this run.
   */
  async finish(): Promise<void> {
    // How much there is in all is told with the run's end.
    this.sink.onGrown = null;
    clearTimeout(this.#attaching);
    if (!this.#stream && (await this.#readToEnd())) return;
    await this.#attach().finish();
  }

  #attach(): PipeStream {
    this.sink.open();
    this.#stream ??= new PipeStream(this.#fd, this.sink, () => {
      this.lastOutput = this.#clock();
    });
    return this.#stream;
  }

  /** True where that was the end; false where somebody still holds the pipe, who may go on writing for ever. */
  async #readToEnd(): Promise<boolean> {
    const buffer = takeBuffer();
    for (let reads = 0; reads < MOST_READS; reads++) {
      const size = readNow(this.#fd, buffer);
      if (size === 0) {
        closeSync(this.#fd);
        this.sink.close();
      }
      if (size <= 0) {
        spareBuffers.push(buffer);
        return size === 0;
      }
      const written = new Promise<void>((done) => this.sink.write(buffer.subarray(0, size), done));
      // It hangs on a dead disk, and keeps the buffer. Whoever holds the pipe is still to be ended.
      if (!(await within(written, FLUSH_MS))) return false;
    }
    spareBuffers.push(buffer);
    return false;
  }
}

/** The pipe of a command that goes on: read as it prints. */
class PipeStream {
  readonly #sink: Sink;
  readonly #buffer = takeBuffer();
  readonly #socket: Socket;
  readonly #link: string;
  readonly #closed: Promise<void>;
  #writing: Promise<void> = Promise.resolve();

  constructor(fd: number, sink: Sink, onOutput: () => void) {
    this.#sink = sink;
    // Now, while the number is surely this pipe's: looked up later, it might be another run's.
    this.#link = hasProc ? readlinkSync(`/proc/self/fd/${fd}`) : '';
    const callback = (size: number) => {
      onOutput();
      this.#writing = new Promise((done) => {
        sink.write(this.#buffer.subarray(0, size), () => {
          done();
          this.#socket.resume();
        });
      });
      return false;
    };
    const options = { fd, readable: true, writable: false, onread: { buffer: this.#buffer, callback } };
    this.#socket = new Socket(options as SocketConstructorOpts);
    this.#closed = new Promise((done) => this.#socket.once('close', () => done()));
    this.#socket.on('error', () => {}); // 'close' follows
    this.#socket.resume();
  }

  async finish(): Promise<void> {
    let closed = await within(this.#closed, CLOSE_MS);
    for (let round = 0; !closed && round < 3; round++) {
      closed = await within(this.#closed, killHolders(this.#link) > 0 ? CLOSE_MS : FLUSH_MS);
    }
    const written = await within(this.#writing, FLUSH_MS);
    this.#socket.destroy();
    // A write that hangs on a dead disk holds file and buffer; the run must end all the same.
    if (!written) return;
    this.#sink.close();
    spareBuffers.push(this.#buffer);
  }
}

function takeBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE);
}

/** Bytes read, 0 at the end; -1 where there is nothing now and the pipe is held. */
function readNow(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch {
    return -1; // EAGAIN; of anything else the stream tells
  }
}
