// Loaded into a worker before anything else: its wall clock is ahead or behind by as many milliseconds as the file
// CHAOS_CLOCK says. The monotonic clock stays real, as it does where somebody sets a host's time.
import { readFileSync } from 'node:fs';

const RealDate = Date;
let shift = 0;
const read = () => {
  try {
    shift = Number(readFileSync(process.env.CHAOS_CLOCK, 'utf8')) || 0;
  } catch {
    shift = 0;
  }
};
setInterval(read, 200).unref();

globalThis.Date = class ShiftedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shift);
    else super(...args);
  }
  static now() {
    return RealDate.now() + shift;
  }
};
