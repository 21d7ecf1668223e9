/** The terminal while `top` has it: another screen than the shell's, keys as they are pressed, and all of it given back. */
import { emitKeypressEvents, type Interface } from 'node:readline';
import { createLogUpdate } from 'log-update';
import type { Key } from './top-model.js';

// Without wrapping: a character that is wider than we think then costs its line's end, and no line of the screen.
const ENTER = '\u001b[?1049h\u001b[?7l\u001b[2J\u001b[H';
const LEAVE = '\u001b[?7h\u001b[?1049l';
const CLEAR = '\u001b[2J\u001b[H';
/** After an escape, how long to wait for the rest of an arrow key. Node's half a second would be felt. */
const ESCAPE_MS = 50;

export interface ScreenHandlers {
  readonly onKey: (key: Key) => void;
  /** The size is another one, or the program was continued. */
  readonly onResize: () => void;
  /** The terminal is gone. */
  readonly onEnd: () => void;
}

export class Screen {
  readonly #in: NodeJS.ReadStream;
  readonly #out: NodeJS.WriteStream;
  readonly #handlers: ScreenHandlers;
  #update: ReturnType<typeof createLogUpdate> | null = null;
  #drawn = '';
  #entered = false;

  constructor(input: NodeJS.ReadStream, out: NodeJS.WriteStream, handlers: ScreenHandlers) {
    this.#in = input;
    this.#out = out;
    this.#handlers = handlers;
  }

  get width(): number {
    return Math.max(1, this.#out.columns);
  }

  /** One line less than there is: log-update leaves its cursor below the last one. */
  get height(): number {
    return Math.max(1, this.#out.rows - 1);
  }

  enter(): void {
    emitKeypressEvents(this.#in, { escapeCodeTimeout: ESCAPE_MS } as unknown as Interface);
    this.#entered = true;
    this.#take();
    this.#in.on('keypress', this.#onKey);
    this.#in.on('end', this.#handlers.onEnd);
    this.#in.on('error', this.#handlers.onEnd);
    this.#out.on('resize', this.#onResize);
    process.on('SIGCONT', this.#onContinue);
    // Before an error is reported: on this screen nobody would ever read it.
    process.on('uncaughtExceptionMonitor', this.#giveBack);
    process.on('exit', this.#giveBack);
  }

  leave(): void {
    this.#entered = false;
    this.#in.off('keypress', this.#onKey);
    this.#in.off('end', this.#handlers.onEnd);
    this.#out.off('resize', this.#onResize);
    process.off('SIGCONT', this.#onContinue);
    this.#giveBack();
    process.off('uncaughtExceptionMonitor', this.#giveBack);
    process.off('exit', this.#giveBack);
    this.#in.pause();
    // Of a terminal that is gone, giving it back fails, and nobody is there to be told: that listener stays.
  }

  draw(lines: readonly string[]): void {
    const frame = lines.join('\n');
    // Drawing takes a millisecond, also where log-update then finds nothing to write.
    if (frame === this.#drawn) return;
    this.#drawn = frame;
    this.#update?.(frame);
  }

  /** Draws the next time as if nothing were there. */
  clear(): void {
    if (!this.#update) return;
    this.#out.write(CLEAR);
    this.#drawn = '';
    this.#update = createLogUpdate(this.#out);
  }

  /** As Ctrl-Z does elsewhere: with the terminal's whole job, which npx is part of. */
  suspend(): void {
    this.#giveBack();
    process.kill(0, 'SIGTSTP');
    // Where no shell could ever continue the job, the kernel does not stop it.
    setTimeout(this.#onContinue, 50);
  }

  #take(): void {
    this.#in.setRawMode(true);
    this.#in.resume();
    this.#out.write(ENTER);
    this.#drawn = '';
    this.#update = createLogUpdate(this.#out);
  }

  readonly #giveBack = (): void => {
    if (!this.#update) return;
    // Shows the cursor again.
    this.#update.done();
    this.#update = null;
    this.#out.write(LEAVE);
    this.#in.setRawMode(false);
  };

  readonly #onKey = (_text: string | undefined, key: Key): void => this.#handlers.onKey(key);

  readonly #onResize = (): void => {
    this.clear();
    this.#handlers.onResize();
  };

  readonly #onContinue = (): void => {
    if (!this.#entered) return;
    this.#giveBack();
    this.#take();
    this.#handlers.onResize();
  };
}
