/**
 * Makes folders with their missing parents. Not by Node's own `recursive`: where a parent is there and the kernel still
 * says ENOENT, as below /proc, Node 20 asks again for ever, with a processor of its own, and no signal is heard.
 */
import { mkdirSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * @param mode of every folder that is made, before the umask
 * @returns the outermost folder that was made; undefined where all were there
 * @throws the kernel's error for the folder that could not be made
 */
export function makeFolder(path: string, mode: number): string | undefined {
  try {
    return makeOne(path, mode);
  } catch (error) {
    if (!lacksParent(error, path)) throw error;
    const first = makeFolder(dirname(path), mode);
    // Once more and no oftener: a second ENOENT is the answer.
    const made = makeOne(path, mode);
    return first ?? made;
  }
}

/** The same without holding up the process: for folders on a disk that may hang. */
export async function makeFolderAsync(path: string, mode: number): Promise<string | undefined> {
  try {
    return await makeOneAsync(path, mode);
  } catch (error) {
    if (!lacksParent(error, path)) throw error;
    const first = await makeFolderAsync(dirname(path), mode);
    const made = await makeOneAsync(path, mode);
    return first ?? made;
  }
}

function makeOne(path: string, mode: number): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    return thereOr(path, error);
  }
}

async function makeOneAsync(path: string, mode: number): Promise<string | undefined> {
  try {
    await mkdir(path, { mode });
    return path;
  } catch (error) {
    return thereOr(path, error);
  }
}

/** Whatever mkdir said (EEXIST, on macOS EISDIR for `/`), a folder that is there is fine. */
function thereOr(path: string, error: unknown): undefined {
  if (codeOf(error) === 'ENOENT' || !isFolder(path)) throw error;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // a dangling link, or what may not be looked at: mkdir's own error tells more
  }
}

function lacksParent(error: unknown, path: string): boolean {
  return codeOf(error) === 'ENOENT' && dirname(path) !== path;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
