/** What no service file takes, whatever the escaping. */
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';

// Control characters but the tab, the line separators of Unicode, halves of surrogate pairs, and the two code points that
// XML does not know.
const IMPOSSIBLE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]|\p{Surrogate}/u;

/** @throws CapeError `config` for a text that no line of a unit or plist can hold */
export function refuseControls(what: string, text: string): string {
  if (!IMPOSSIBLE.test(text)) return text;
  throw new CapeError(
    'config',
    `${what} is "${oneLine(text)}": a service file takes no line breaks and no control characters`,
  );
}

/** @throws CapeError `config` for anything but an absolute path without `.` and `..`, which systemd refuses */
export function refuseRelative(what: string, path: string): string {
  refuseControls(what, path);
  if (path.startsWith('/') && !/\/\.\.?(\/|$)/.test(path)) return path;
  throw new CapeError('config', `${what} is "${oneLine(path)}": must be an absolute path without "." and ".."`);
}
