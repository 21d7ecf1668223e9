/** What keys do: all of it without a terminal. */
import { describe, expect, test } from 'vitest';
import { filterOf } from '../../src/cli/top-filter.js';
import { type Key, type Model, press, type Scene, START } from '../../src/cli/top-model.js';

const scene: Scene = {
  rows: ['worker a', 'issue 3', 'issue 2', 'issue 1'],
  ...{ chosen: {}, paused: false, everybodyPaused: false, attempts: [1, 2, 3] },
  output: { first: 0, end: 100, height: 10 },
};

const NAMES: Readonly<Record<string, string>> = { '\r': 'return', '\u001b': 'escape', '\u007f': 'backspace' };

/** Presses one after the other: a character, or a key by its name. */
function pressed(model: Model, keys: readonly (string | Key)[], more: Partial<Scene> = {}) {
  return keys.reduce<ReturnType<typeof press>>(
    (before, key) => {
      const one = typeof key === 'string' ? { sequence: key, name: NAMES[key] ?? key } : key;
      return press(before.model, one, { ...scene, ...more });
    },
    { model },
  );
}

const chosen = (...keys: (string | Key)[]) => pressed({ ...START, chosen: 'issue 3' }, keys).model.chosen;

test('j, k, arrows, g and G move through all rows, and not past the ends', () => {
  expect(chosen('j')).toBe('issue 2');
  expect(chosen('k', 'k', 'k')).toBe('worker a');
  expect(chosen({ name: 'down', sequence: '\u001b[B' }, { name: 'up', sequence: '\u001b[A' })).toBe('issue 3');
  expect(chosen('G')).toBe('issue 1');
  expect(chosen('G', 'j')).toBe('issue 1');
  expect(chosen('G', 'g')).toBe('worker a');
  expect(chosen({ name: 'pagedown' })).toBe('issue 1');
});

test('where the chosen row is gone, the first one is chosen by the next move; of no rows none', () => {
  expect(pressed({ ...START, chosen: 'issue 99' }, ['j']).model.chosen).toBe('worker a');
  expect(pressed({ ...START, chosen: 'issue 99' }, ['j'], { rows: [] }).model.chosen).toBeNull();
});

describe('changes', () => {
  const issue = { chosen: { issue: 3 } };

  test('r retries at once; c asks, and y alone means yes', () => {
    expect(pressed(START, ['r'], issue).action).toEqual({ do: 'retry', id: 3 });
    const asked = pressed(START, ['c'], issue);
    expect(asked).toMatchObject({ model: { question: { text: 'cancel issue 3?' } } });
    expect(asked.action).toBeUndefined();
    expect(pressed(asked.model, ['y']).action).toEqual({ do: 'cancel', id: 3 });
    for (const key of ['n', '\r', '\u001b', 'c', 'q', ' ']) {
      expect(pressed(asked.model, [key])).toEqual({ model: { ...START, question: null } });
    }
  });

  test('without an issue they say what is missing', () => {
    expect(pressed(START, ['c'])).toEqual({ model: { ...START, notice: 'choose an issue first (j, k)' } });
  });

  test('p pauses the chosen worker or lets it go on, and asks before it does so with all', () => {
    const worker = { chosen: { worker: 'a' } };
    expect(pressed(START, ['p'], worker).action).toEqual({ do: 'pause', worker: 'a' });
    expect(pressed(START, ['p'], { ...worker, paused: true }).action).toEqual({ do: 'resume', worker: 'a' });
    expect(pressed(START, ['p'], issue).action).toBeUndefined();
    expect(pressed(START, ['p', 'y'], issue).action).toEqual({ do: 'pause', worker: null });
    // To resume one while all are paused would change nothing.
    const all = { ...worker, paused: true, everybodyPaused: true };
    expect(pressed(START, ['p', 'y'], all).action).toEqual({ do: 'resume', worker: null });
  });
});

describe('the filter', () => {
  test('is typed, corrected and taken by enter; other rows will come, so that none is chosen', () => {
    const typing = pressed({ ...START, chosen: 'issue 3' }, ['/', 'l', 'o', 'x', '\u007f', 'g', 'q', '?']);
    expect(typing.model).toMatchObject({ typing: 'logq?', filter: '', chosen: 'issue 3' });
    expect(pressed(typing.model, ['\r']).model).toMatchObject({ typing: null, filter: 'logq?', chosen: null });
    expect(pressed(typing.model, ['\u001b']).model).toMatchObject({ typing: null, filter: '', chosen: 'issue 3' });
  });

  test('takes text alone: no control sequences, and not without an end', () => {
    const typing = pressed(START, ['/', { name: 'up', sequence: '\u001b[A' }, '\u0000', { sequence: '\ud83d' }, '語']);
    expect(typing.model.typing).toBe('語');
    expect(pressed(START, ['/', 'x'.repeat(5000)]).model.typing).toHaveLength(200);
  });

  test('ends by escape', () => {
    expect(pressed({ ...START, filter: 'x' }, ['\u001b']).model.filter).toBe('');
  });

  test.each([
    ['login bug', { search: 'login bug' }],
    ['is:failed on:w-1 login', { status: ['failed'], worker: 'w-1', search: 'login' }],
    ['is:c', { status: ['completed', 'cancelled'] }],
    ['#12', { id: 12 }],
    ['is:nothing #x #99999999999', { search: 'is:nothing #x #99999999999' }],
    ['', {}],
  ])('%j means %j', (text, expected) => {
    expect(filterOf(text)).toEqual(expected);
  });
});

describe('an output', () => {
  const open = pressed(START, ['\r'], { chosen: { issue: 3 } }).model;
  const top = (...keys: (string | Key)[]) => pressed(open, keys).model.output?.top;

  test('is opened at its end, which is followed', () => {
    expect(open).toMatchObject({ page: 'output', output: { id: 3, attempt: null, top: null } });
  });

  test('is scrolled within what is kept; f and G follow again', () => {
    expect(top('k')).toBe(89);
    expect(top('k', 'j', 'j')).toBe(90);
    expect(top('g')).toBe(0);
    expect(top('g', ' ')).toBe(9);
    expect(top('g', 'f')).toBeNull();
    expect(top('g', 'G')).toBeNull();
    expect(top('f')).toBe(90);
  });

  test('of other attempts is shown by [ and ], the latest by its being the latest', () => {
    const attempt = (...keys: string[]) => pressed(open, keys).model.output?.attempt;
    expect(attempt('[')).toBe(2);
    expect(attempt('[', '[', '[')).toBe(1);
    expect(attempt('[', '[', ']')).toBe(2);
    expect(attempt('[', ']')).toBeNull();
  });

  test('is left by escape, and changes mean its issue', () => {
    expect(pressed(open, ['\u001b']).model).toMatchObject({ page: 'overview', output: null });
    expect(pressed(open, ['r']).action).toEqual({ do: 'retry', id: 3 });
  });
});

test('Ctrl-C quits wherever one is', () => {
  const ctrlC: Key = { ctrl: true, name: 'c', sequence: '\u0003' };
  for (const keys of [[], ['/'], ['c'], ['?'], ['\r']]) {
    expect(pressed(START, [...keys, ctrlC], { chosen: { issue: 3 } }).action, String(keys)).toEqual({ do: 'quit' });
  }
});

test('? shows the help, and any key ends it without doing anything else', () => {
  const help = pressed(START, ['?']).model;
  expect(help.help).toBe(true);
  expect(pressed(help, ['q'])).toEqual({ model: START });
});
