export { accountHome, defaultDataDir, type HomeHints } from './data-dir.js';
export { type Embedded, type EmbeddedOptions, startEmbedded } from './embedded.js';
export { type EmbeddedStatus, embeddedStatus, stopEmbedded } from './operate.js';
