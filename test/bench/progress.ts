/** What goes on, to stderr: one line that changes on a terminal, plain lines elsewhere. */
import { createLogUpdate } from 'log-update';

export interface Progress {
  /** What stays to be read. */
  line(text: string): void;
  /** What goes on now; elsewhere than on a terminal only the line it belongs to was told. */
  now(text: string): void;
  end(): void;
}

export function progressOn(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) {
    return {
      line: (text) => void stream.write(`${text}\n`),
      now: (text) => void stream.write(`  ${text}\n`),
      end() {},
    };
  }
  const update = createLogUpdate(stream);
  return {
    line(text) {
      update.clear();
      stream.write(`${text}\n`);
    },
    now: (text) => update(`  ${text}`),
    end: () => update.clear(),
  };
}
