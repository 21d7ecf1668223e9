/** What a person has chosen and opened, and what a key changes of it. Pure: what a key asks for comes back as an action. */

export interface Model {
  readonly page: 'overview' | 'output';
  readonly help: boolean;
  /** The key of the chosen row. */
  readonly chosen: string | null;
  /** Conditions for what is listed, as they were typed. */
  readonly filter: string;
  /** A filter that is being typed; null where none is. */
  readonly typing: string | null;
  /** Waits for y or n. */
  readonly question: { readonly text: string; readonly action: Action } | null;
  /** What came of the last action. */
  readonly notice: string | null;
  /** The page of an issue's output. */
  readonly output: { readonly id: number; readonly attempt: number | null; readonly top: number | null } | null;
}

export const START: Model = {
  ...{ page: 'overview', help: false, chosen: null, filter: '', typing: null },
  ...{ question: null, notice: null, output: null },
};

/** What is changed in the database; `worker`: null = all. */
export type Change =
  | { readonly do: 'retry' | 'cancel'; readonly id: number }
  | { readonly do: 'pause' | 'resume'; readonly worker: string | null };

export type Action = { readonly do: 'quit' } | { readonly do: 'redraw' } | { readonly do: 'suspend' } | Change;

/** What the keys are pressed upon. */
export interface Scene {
  /** The rows from top to bottom. */
  readonly rows: readonly string[];
  /** Who is meant by the chosen row. */
  readonly chosen: { readonly issue?: number; readonly worker?: string };
  /** Of the chosen worker, or of all. */
  readonly paused: boolean;
  readonly everybodyPaused: boolean;
  /** Rows of the opened output: the first that is kept, how many there are, and how many are seen at once. */
  readonly output: { readonly first: number; readonly end: number; readonly height: number };
  /** Attempts of the opened issue. */
  readonly attempts: readonly number[];
}

export interface Pressed {
  readonly model: Model;
  readonly action?: Action;
}

/** A key as Node's readline names it. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

export function press(model: Model, key: Key, scene: Scene): Pressed {
  if (key.ctrl && key.name === 'c') return { model, action: { do: 'quit' } };
  if (key.ctrl && key.name === 'l') return { model, action: { do: 'redraw' } };
  if (key.ctrl && key.name === 'z') return { model, action: { do: 'suspend' } };
  if (model.question) return answer(model, key);
  if (model.typing !== null) return { model: typed(model, model.typing, key) };
  // A notice has been read once another key is pressed.
  const read = { ...model, notice: null };
  if (model.help) return { model: { ...read, help: false } };
  const word = key.ctrl || key.meta ? '' : (key.sequence ?? '');
  if (word === '?') return { model: { ...read, help: true } };
  return model.page === 'output' ? onOutput(read, key, word, scene) : onOverview(read, key, word, scene);
}

function answer(model: Model, key: Key): Pressed {
  const { question, ...rest } = model;
  const done = { ...rest, question: null, notice: null };
  return key.sequence?.toLowerCase() === 'y' && question ? { model: done, action: question.action } : { model: done };
}

/** Other rows come: the first issue of those is chosen once they are there. */
function filtered(model: Model, filter: string): Model {
  return filter === model.filter ? model : { ...model, filter, chosen: null };
}

/** No longer filter is of any use. */
const LONGEST_FILTER = 200;

function typed(model: Model, typing: string, key: Key): Model {
  if (key.name === 'return' || key.name === 'enter') return filtered({ ...model, typing: null }, typing.trim());
  if (key.name === 'escape') return { ...model, typing: null };
  if (key.ctrl && key.name === 'u') return { ...model, typing: '' };
  if (key.name === 'backspace') return { ...model, typing: [...typing].slice(0, -1).join('') };
  const text = key.ctrl || key.meta ? '' : (key.sequence ?? '');
  // Arrows and other keys arrive as control sequences.
  return /^[^\p{Cc}\p{Cs}]+$/u.test(text) ? { ...model, typing: (typing + text).slice(0, LONGEST_FILTER) } : model;
}

function onOverview(model: Model, key: Key, word: string, scene: Scene): Pressed {
  const step = stepOf(key, word, 10);
  if (step !== undefined) return { model: { ...model, chosen: moved(model.chosen, step, scene.rows) } };
  if (word === 'q') return { model, action: { do: 'quit' } };
  if (word === '/') return { model: { ...model, typing: model.filter } };
  if (key.name === 'escape') return { model: filtered(model, '') };
  const { issue } = scene.chosen;
  if ((key.name === 'return' || key.name === 'right' || word === 'l' || word === 'o') && issue !== undefined) {
    return { model: { ...model, page: 'output', output: { id: issue, attempt: null, top: null } } };
  }
  if (word === 'p') return pauseOrResume(model, scene);
  return changeOf(model, word, issue);
}

function onOutput(model: Model, key: Key, word: string, scene: Scene): Pressed {
  const { output } = model;
  const { first, end, height } = scene.output;
  if (!output || key.name === 'escape' || key.name === 'left' || word === 'h' || word === 'q') {
    return { model: { ...model, page: 'overview', output: null } };
  }
  const shown = (top: number | null): Pressed => ({ model: { ...model, output: { ...output, top } } });
  const last = Math.max(first, end - height);
  const top = output.top ?? last;
  if (word === 'f') return shown(output.top === null ? last : null);
  // What comes is followed again from the end on.
  if (word === 'G' || key.name === 'end') return shown(null);
  const step = stepOf(key, word, Math.max(1, height - 1));
  if (step !== undefined) return shown(Math.max(first, Math.min(last, top + step)));
  if (word === '[' || word === ']') {
    const attempt = neighbour(scene.attempts, output.attempt, word === '[' ? -1 : 1);
    return { model: { ...model, output: { ...output, attempt, top: null } } };
  }
  return changeOf(model, word, output.id);
}

/** Rows that a key moves by; undefined where it does not move. */
function stepOf(key: Key, word: string, page: number): number | undefined {
  if (word === 'j' || key.name === 'down') return 1;
  if (word === 'k' || key.name === 'up') return -1;
  if (key.name === 'pagedown' || word === ' ' || (key.ctrl && key.name === 'f')) return page;
  if (key.name === 'pageup' || (key.ctrl && key.name === 'b')) return -page;
  if (word === 'g' || key.name === 'home') return Number.NEGATIVE_INFINITY;
  return word === 'G' || key.name === 'end' ? Number.POSITIVE_INFINITY : undefined;
}

function moved(chosen: string | null, step: number, rows: readonly string[]): string | null {
  const at = chosen === null ? -1 : rows.indexOf(chosen);
  const next = at < 0 && Number.isFinite(step) ? 0 : at + step;
  return rows[Math.max(0, Math.min(rows.length - 1, next))] ?? null;
}

/** Of the latest attempt, null, there is none after it. */
function neighbour(attempts: readonly number[], attempt: number | null, step: number): number | null {
  const at = attempt === null ? attempts.length - 1 : attempts.indexOf(attempt);
  const next = Math.max(0, at + step);
  return next >= attempts.length - 1 ? null : (attempts[next] ?? null);
}

function changeOf(model: Model, word: string, id: number | undefined): Pressed {
  if (word !== 'r' && word !== 'c') return { model };
  if (id === undefined) return { model: { ...model, notice: 'choose an issue first (j, k)' } };
  if (word === 'r') return { model, action: { do: 'retry', id } };
  return { model: { ...model, question: { text: `cancel issue ${id}?`, action: { do: 'cancel', id } } } };
}

/** One worker at once; all of them is asked about first. */
function pauseOrResume(model: Model, { chosen, paused, everybodyPaused }: Scene): Pressed {
  const { worker } = chosen;
  if (worker !== undefined && !everybodyPaused) return { model, action: { do: paused ? 'resume' : 'pause', worker } };
  const action: Action = { do: everybodyPaused ? 'resume' : 'pause', worker: null };
  const text = everybodyPaused ? 'resume all workers?' : 'pause all workers?';
  return { model: { ...model, question: { text, action } } };
}
