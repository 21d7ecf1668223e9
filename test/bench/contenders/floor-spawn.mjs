// What Node itself can do: processes in a loop, so many in flight, and nothing else.
// Job: { commands, slots, file, args, stdio: 'pipe' | 'ignore', folder, keep? }; with `keep` each output goes into a file in the folder.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { contend } from './contend.mjs';
import { limited } from './tasks.mjs';

await contend(async ({ commands, slots, file, args, stdio, folder, keep }, ready) => {
  const one = async (n) => {
    const child = spawn(file, args, { stdio: ['ignore', stdio, stdio] });
    const written = keep && pipeline(child.stdout, createWriteStream(join(folder, `floor-${n}.log`)));
    if (!keep && stdio === 'pipe') child.stdout.resume();
    if (stdio === 'pipe') child.stderr.resume();
    const code = await new Promise((ended) => child.once('close', ended));
    await written;
    if (code !== 0) throw new Error(`${file} ended with ${code}`);
  };
  await ready();
  const from = performance.now();
  await limited([...Array(commands).keys()], slots, one);
  return { seconds: (performance.now() - from) / 1000 };
});
