/** One line after the other on one stage. */
import { spawnSync } from 'node:child_process';
import { messageOf } from '../../src/core/errors.js';
import type { Line } from './line.js';
import { LINES } from './lines.js';
import { factsOf, loadText } from './machine.js';
import type { Options } from './options.js';
import { node24, peerVersions } from './peers.js';
import type { Progress } from './progress.js';
import type { LineResult, Results } from './results.js';
import { type OwnStage, prepareStage } from './stage.js';

/** @throws the reason of `signal` where it is aborted; the stage is gone then too */
export async function runLines({ lines, scale }: Options, progress: Progress, signal: AbortSignal): Promise<Results> {
  progress.line('making a folder and a Postgres of its own');
  const stage = await prepareStage(signal);
  try {
    const newer = node24();
    const version = newer && spawnSync(newer, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim();
    const machine = factsOf(stage.folder, await stage.server.version(), peerVersions(), version);
    const results: LineResult[] = [];
    for (const line of LINES.filter(({ name }) => lines.includes(name))) {
      results.push(await runLine(line, stage, scale, progress));
      signal.throwIfAborted();
    }
    return { machine, scale: scale.name, lines: results };
  } finally {
    progress.end();
    await stage.strike();
  }
}

/** A line that fails must not cost the others. */
async function runLine(line: Line, stage: OwnStage, scale: Options['scale'], progress: Progress): Promise<LineResult> {
  const { name, title } = line;
  const from = performance.now();
  const about = { name, title, when: new Date().toISOString().slice(0, 16).replace('T', ' '), load: loadText() };
  progress.line(`${name}: ${title}`);
  const result = await line
    .measure(stage, scale, (text) => progress.now(text))
    .then((measured) => ({ measured, failure: null }))
    .catch((error) => ({ measured: null, failure: messageOf(error) }));
  const seconds = Math.round((performance.now() - from) / 100) / 10;
  if (!stage.signal.aborted)
    progress.line(
      result.failure === null ? `  done in ${seconds} s` : `  failed after ${seconds} s: ${result.failure}`,
    );
  return { ...about, rounds: scale.rounds, seconds, ...result };
}
