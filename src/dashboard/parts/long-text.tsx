/** A text that may be a word or ten thousand lines: as it is, in a box that scrolls. */
import { useState } from 'preact/hooks';
import { plainText } from '../text/ansi.js';
import { bytes } from '../text/format.js';

/** What is drawn at once: a text of megabytes holds up the page. */
const SHOWN = 20_000;

export function LongText({ title, text, bad = false }: { title: string; text: string; bad?: boolean }) {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > SHOWN;
  const shown = cut ? text.slice(0, SHOWN) : text;
  return (
    <section class={`card${bad ? ' is-bad' : ''}`} aria-label={title}>
      <header class="card-head">
        <h2>{title}</h2>
      </header>
      {text !== '' && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and not all scroll with a mouse
        <pre class="long-text" tabIndex={0}>
          {shown.replaceAll('\r\n', '\n').split('\n').map(plainText).join('\n')}
        </pre>
      )}
      {cut && (
        <button type="button" class="button small" onClick={() => setAll(true)}>
          Show all of it ({bytes(text.length)})
        </button>
      )}
    </section>
  );
}
