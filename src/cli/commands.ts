/** Every command: its name, one line about it, and where its code is. Only the code of the one that runs is loaded. */
import type { Listed } from './command.js';

/** Runs where no command is given. */
export const DEFAULT_COMMAND = 'run';

export const GROUPS: Readonly<Record<string, string>> = {
  issues: 'Add, list, show, retry, cancel, assign and delete issues; print their logs',
  service: 'Install workers as services of this machine (systemd, launchd), look after and remove them',
  db: "Start, stop and look at the user's embedded Postgres",
};

export const COMMANDS: readonly Listed[] = [
  {
    name: 'run',
    about: 'Run a worker: claim issues and run the command for each',
    load: async () => (await import('./run.js')).run,
  },
  {
    name: 'serve',
    about: 'Serve the HTTP API and the page',
    load: async () => (await import('./serve.js')).serve,
  },
  {
    name: 'issues add',
    about: 'Queue an issue and print its id',
    load: async () => (await import('./issues-add.js')).add,
  },
  { name: 'issues list', about: 'List issues', load: async () => (await import('./issues-list.js')).list },
  {
    name: 'issues show',
    about: 'Show one issue, its attempts and the end of its output',
    load: async () => (await import('./issues-show.js')).show,
  },
  {
    name: 'issues logs',
    about: 'Print the output of an attempt',
    load: async () => (await import('./issues-logs.js')).logs,
  },
  {
    name: 'issues retry',
    about: 'Run ended issues again, with fresh counts; a waiting one now',
    load: async () => (await import('./issues-change.js')).retry,
  },
  {
    name: 'issues cancel',
    about: 'Cancel issues; a running one is ended',
    load: async () => (await import('./issues-change.js')).cancel,
  },
  {
    name: 'issues assign',
    about: 'Direct a pending issue to one worker, or to any',
    load: async () => (await import('./issues-change.js')).assign,
  },
  {
    name: 'issues delete',
    about: 'Delete issues and their attempts',
    load: async () => (await import('./issues-change.js')).remove,
  },
  { name: 'workers', about: 'List the workers', load: async () => (await import('./workers.js')).workers },
  {
    name: 'top',
    about: 'Watch the queue live in the terminal: workers, running issues, results',
    load: async () => (await import('./top.js')).top,
  },
  { name: 'status', about: 'Show how the queue is doing', load: async () => (await import('./status.js')).status },
  {
    name: 'pause',
    about: 'Stop claiming, for one worker or all',
    load: async () => (await import('./pause.js')).pause,
  },
  { name: 'resume', about: 'Claim again after a pause', load: async () => (await import('./pause.js')).resume },
  {
    name: 'migrate',
    about: 'Bring the database schema up to date',
    load: async () => (await import('./migrate.js')).migrate,
  },
  {
    name: 'prune',
    about: 'Delete events and attempts of long ago',
    load: async () => (await import('./prune.js')).prune,
  },
  {
    name: 'service install',
    about: 'Install a worker as a service, or bring one up to date',
    load: async () => (await import('./service-install.js')).install,
  },
  {
    name: 'service uninstall',
    about: 'Stop a service and remove it',
    load: async () => (await import('./service-uninstall.js')).uninstall,
  },
  {
    name: 'service upgrade',
    about: 'Bring installed services up to this program',
    load: async () => (await import('./service-upgrade.js')).upgrade,
  },
  {
    name: 'service status',
    about: 'Show how services are: process, issue, files, log',
    load: async () => (await import('./service-status.js')).status,
  },
  {
    name: 'service list',
    about: 'List the services of this machine',
    load: async () => (await import('./service-list.js')).list,
  },
  {
    name: 'service logs',
    about: 'Print what a service prints',
    load: async () => (await import('./service-logs.js')).logs,
  },
  {
    name: 'service start',
    about: 'Start services, and wait until they work',
    load: async () => (await import('./service-start.js')).start,
  },
  {
    name: 'service stop',
    about: 'Stop services, after their running issues',
    load: async () => (await import('./service-stop.js')).stop,
  },
  {
    name: 'service restart',
    about: 'Restart services, after their running issues',
    load: async () => (await import('./service-start.js')).restart,
  },
  {
    name: 'service render',
    about: 'Print what install would write',
    load: async () => (await import('./service-render.js')).render,
  },
  {
    name: 'db start',
    about: 'Start the embedded Postgres and leave it running',
    load: async () => (await import('./db.js')).start,
  },
  { name: 'db stop', about: 'Stop the embedded Postgres', load: async () => (await import('./db.js')).stop },
  {
    name: 'db status',
    about: 'Show whether the embedded Postgres runs',
    load: async () => (await import('./db.js')).status,
  },
  {
    name: 'db url',
    about: "Print the embedded Postgres's URL, for psql and others",
    load: async () => (await import('./db.js')).url,
  },
  {
    name: 'check',
    about: 'Check settings, database, command and folders; starts nothing',
    load: async () => (await import('./check.js')).check,
  },
  {
    name: 'config',
    about: 'Show every setting in effect and where it came from',
    load: async () => (await import('./config-command.js')).config,
  },
  {
    name: 'demo',
    about: 'See a worker at work, on issues and a Postgres of its own',
    load: async () => (await import('./demo.js')).demo,
  },
  {
    name: 'completion',
    about: 'Print a completion script for bash or zsh',
    load: async () => (await import('./completion.js')).completionOf(COMMANDS, Object.keys(GROUPS)),
  },
];
