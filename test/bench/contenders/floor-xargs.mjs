// What a C program can do: xargs. Job: { commands, slots, file }
import { spawn } from 'node:child_process';
import { contend } from './contend.mjs';

await contend(async ({ commands, slots, file }, ready) => {
  await ready();
  const from = performance.now();
  const xargs = spawn('xargs', ['-n', '1', '-P', String(slots), file], { stdio: ['pipe', 'ignore', 'inherit'] });
  xargs.stdin.end('x\n'.repeat(commands));
  const code = await new Promise((ended) => xargs.once('close', ended));
  if (code !== 0) throw new Error(`xargs ended with ${code}`);
  return { seconds: (performance.now() - from) / 1000 };
});
