/** Moves what a command prints from its pipe into its sink, one buffer at a time. */
import { readlinkSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { within } from './clock.js';
import { hasProc } from './processes.js';
import type { Sink } from './sink.js';
import { killHolders } from './sweep.js';

const BUFFER_SIZE = 64 * 1024;
/** Buffers used again: with a new one per run the spawn rate was a tenth lower, with 'data' events memory doubled. */
const spareBuffers: Buffer[] = [];

/** After the end of the processes the pipe should close at once; whoever holds it longer is left over. */
const CLOSE_MS = 200;
/** Without holders only a slow disk is in the way. */
const FLUSH_MS = 5000;

export class Pump {
  readonly sink: Sink;
  /** When the last byte came, milliseconds of the monotonic clock. */
  lastOutput: number;

  readonly #buffer: Buffer;
  readonly #socket: Socket;
  readonly #link: string;
  readonly #closed: Promise<void>;
  #writing: Promise<void> = Promise.resolve();

  /** @param fd the reading end of the pipe, ours from now on */
  constructor(fd: number, sink: Sink, clock: () => number) {
    this.sink = sink;
    this.lastOutput = clock();
    this.#link = hasProc ? readlinkSync(`/proc/self/fd/${fd}`) : '';
    this.#buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE);
    const callback = (size: number) => {
      this.lastOutput = clock();
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

  /**
   * Reads to the end and closes. Processes that still hold the pipe are killed: whatever else they have shed
   * (group, environment), they came from this run.
   */
  async finish(): Promise<void> {
    let closed = await within(this.#closed, CLOSE_MS);
    for (let round = 0; !closed && round < 3; round++) {
      closed = await within(this.#closed, killHolders(this.#link) > 0 ? CLOSE_MS : FLUSH_MS);
    }
    const written = await within(this.#writing, FLUSH_MS);
    this.#socket.destroy();
    // A write that hangs on a dead disk holds file and buffer; the run must end all the same.
    if (!written) return;
    this.sink.close();
    spareBuffers.push(this.#buffer);
  }
}
