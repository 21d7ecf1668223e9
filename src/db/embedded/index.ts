export { accountHome, defaultDataDir, type HomeHints } from './data-dir.js';
export { type Embedded, type EmbeddedOptions, startEmbedded } from './embedded.js';
export { type EmbeddedStatus, embeddedStatus, stopEmbedded } from './operate.js';
export { forgetOldPrograms, type PreparedServer, prepareEmbedded } from './prepare.js';
export { isMadeForService, markMadeForService, markService } from './run-by-service.js';
