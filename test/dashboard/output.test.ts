import { describe, expect, test } from 'vitest';
import { LineStore } from '../../src/dashboard/output/line-store.js';
import { scrollTo, windowOf } from '../../src/dashboard/output/window.js';

const texts = (store: LineStore) => Array.from({ length: store.length }, (_, index) => store.at(index).text);

describe('output that grows', () => {
  test('is the same lines however it was cut', () => {
    const whole = new LineStore();
    whole.append('one\ntwo\n\nfour');
    const pieces = new LineStore();
    for (const character of 'one\ntwo\n\nfour') pieces.append(character);
    expect(texts(pieces)).toEqual(['one', 'two', '', 'four']);
    expect(texts(whole)).toEqual(texts(pieces));
  });

  test('has each line begin in the colour that the one before ended with', () => {
    const store = new LineStore();
    store.append('\x1b[31mred\nstill red\x1b[0m\nplain');
    expect([0, 1, 2].map((index) => store.at(index).style.fg)).toEqual([null, 1, null]);
  });

  test('holds notes of the page between its lines, and goes on in a line of its own', () => {
    const store = new LineStore();
    store.append('half a');
    store.note('1.0 MiB are left out here');
    store.append(' line\n');
    expect(texts(store)).toEqual(['half a', '1.0 MiB are left out here', ' line']);
    expect([0, 1, 2].map((index) => store.at(index).note)).toEqual([false, true, false]);
  });

  test('lets go of its head when there is too much of it, and knows the numbers of the rest', () => {
    const store = new LineStore(100);
    for (let n = 1; n <= 250; n++) store.append(`line ${n}\n`);
    expect(store.length).toBeLessThanOrEqual(100);
    expect(store.dropped + store.length).toBe(250);
    expect(store.at(0).text).toBe(`line ${store.dropped + 1}`);
    expect(store.at(store.length - 1).text).toBe('line 250');
  });

  test('is searched in what is seen: colours do not part words, escapes are not found', () => {
    const store = new LineStore();
    store.append('an \x1b[31mer\x1b[1mror\x1b[0m here\nnothing\nERROR again\n');
    expect(store.find('error')).toEqual([0, 2]);
    expect(store.find('error', 1)).toEqual([2]);
    expect(store.find('[31m')).toEqual([]);
    expect(store.find('')).toEqual([]);
  });
});

describe('the lines that are drawn', () => {
  test('are those that are seen and some around them, wherever it is scrolled to', () => {
    for (const top of [-50, 0, 17, 9000, 899_000, 1_799_400, 5_000_000]) {
      const { first, end } = windowOf(100_000, 18, top, 600);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(100_000);
      expect(end - first).toBeLessThan(120);
      const seenFrom = Math.min(Math.max(0, top), 100_000 * 18 - 600);
      expect(first * 18).toBeLessThanOrEqual(seenFrom);
      expect(end * 18).toBeGreaterThanOrEqual(seenFrom + 600);
    }
  });

  test('are all of a few, and none of none', () => {
    expect(windowOf(3, 18, 0, 600)).toEqual({ first: 0, end: 3 });
    expect(windowOf(0, 18, 0, 600)).toEqual({ first: 0, end: 0 });
  });

  test('are scrolled to only when they are not seen', () => {
    expect(scrollTo(5, 18, 0, 600)).toBeNull();
    expect(scrollTo(1000, 18, 0, 600)).toBe(17_800);
    expect(scrollTo(0, 18, 900, 600)).toBe(0);
  });
});
