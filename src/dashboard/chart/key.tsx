/** A line of a legend: the colour, its name and its number. */
export function Key({ tone, label, value }: { tone: string; label: string; value: string }) {
  return (
    <span class="key">
      <span class={`swatch of-${tone}`} aria-hidden="true" />
      {label} <b class="num">{value}</b>
    </span>
  );
}
