/** Where a tool of the system lies. */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Its path by PATH, else in the usual folders; null where it is not installed. */
export function findTool(name: string, environment: Readonly<Record<string, string | undefined>>): string | null {
  const folders = (environment.PATH ?? '').split(delimiter).filter(isAbsolute);
  return [...folders, '/usr/bin', '/bin'].map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
