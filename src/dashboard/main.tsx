/** The page begins here. */
import './state/theme.js';
import './styles.css';
import { render } from 'preact';
import { App } from './app.js';
import { resumeSession } from './state/session.js';

render(<App />, document.getElementById('app') as HTMLElement);
void resumeSession();
