/** Words looked for in output that may still grow. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LineStore } from './line-store.js';

export interface Search {
  readonly words: string;
  setWords(words: string): void;
  /** Indexes of lines, ascending. */
  readonly found: readonly number[];
  /** Which of them is shown; -1 where none is. */
  readonly at: number;
  /** Goes to the next, or the one before; round at the ends. */
  step(by: 1 | -1): void;
}

/** 100,000 lines take some 30 ms: not at every key. */
const TYPING_MS = 120;

export function useSearch(store: LineStore, version: number, show: (line: number) => void): Search {
  const [typed, setWords] = useState('');
  const [words, settle] = useState('');
  const [at, setAt] = useState(-1);
  const memory = useRef<{ store: LineStore; words: string; upTo: number; dropped: number; found: number[] } | null>(
    null,
  );

  useEffect(() => {
    const timer = setTimeout(() => settle(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  const found = useMemo(() => {
    const was = memory.current;
    const goesOn = was?.store === store && was.words === words && was.dropped === store.dropped;
    // The last line may have grown.
    const from = goesOn ? Math.max(0, was.upTo - 1) : 0;
    const before = goesOn ? was.found.filter((index) => index < from) : [];
    const all = [...before, ...store.find(words, from)];
    memory.current = { store, words, upTo: store.length, dropped: store.dropped, found: all };
    return all;
  }, [store, version, words]);

  useEffect(() => {
    setAt(found.length > 0 ? 0 : -1);
    if (found.length > 0) show(found[0] as number);
    // Not when more is found: the reader is somewhere.
  }, [words, store]);

  return {
    words: typed,
    setWords,
    found,
    at: Math.min(at, found.length - 1),
    step(by) {
      if (found.length === 0) return;
      const next = (Math.max(0, at) + (at < 0 ? 0 : by) + found.length) % found.length;
      setAt(next);
      show(found[next] as number);
    },
  };
}
