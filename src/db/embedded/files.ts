/** The two failures of a file operation that are ordinary where several processes work in one folder. */

/** For `catch`: nothing there, as a value. */
export function whenMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/** For `catch`: another process was first, and what it made is as good. */
export function whenThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST' && error.code !== 'ENOTEMPTY') throw error;
}
