/** Asks before what can't be taken back. */
import { signal } from '@preact/signals';
import { Dialog } from './dialog.js';

interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly answer: (yes: boolean) => void;
}

const question = signal<Question | null>(null);

/** @returns true where the reader has said yes */
export function confirm(title: string, text: string, yes: string): Promise<boolean> {
  question.value?.answer(false);
  return new Promise((answer) => {
    question.value = { title, text, yes, answer };
  });
}

export function Confirmation() {
  const asked = question.value;
  if (asked === null) return null;
  const answer = (yes: boolean) => {
    question.value = null;
    asked.answer(yes);
  };
  return (
    <Dialog title={asked.title} onClose={() => answer(false)}>
      <p>{asked.text}</p>
      <div class="dialog-foot">
        <button type="button" class="button" onClick={() => answer(false)}>
          Keep
        </button>
        <button type="button" class="button danger" onClick={() => answer(true)}>
          {asked.yes}
        </button>
      </div>
    </Dialog>
  );
}
