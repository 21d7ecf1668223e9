-- oldest-program: 0.1.0
--
-- What people look at: pages of issues by status, and what ended lately, with millions of rows in the table.
--
-- Every row is in exactly one place:
--   waiting     pending, not leased   the claim's indexes of 002
--   in hand     leased                cape_leases
--   all others                        the index below: what has ended, and what no worker will ever touch
-- So one index is enough for every status. A claim makes a row leaves nothing in it (leased); a settlement adds one
-- entry, unless the issue goes back to pending.
--
-- Its price, CPU of the server for each issue (claims and settlements of 50, 300,000 rows, lower quartile of 30 rounds):
--                                                            settle     INSERT of one row   INSERT of many
--   without                                                  35.8 us    30.9                4.8
--   this one                                                 35.1       31.6                4.7
--   one on (id) for each of failed, cancelled, completed,
--     and one for the rest                                   35.1       35.6                5.0
-- An INSERT of one row pays for each index that it does not write to, since every statement opens them all and reads
-- their predicates: hence one, with a short predicate.
--
-- Not taken: a walk down the primary key alone (with a million newer pending rows the first completed one is a
-- second away), an index on (id) where pending (each INSERT would write to it).

set local lock_timeout = '10s';

create index cape_issues_ended on cape_issues (status, id) where not leased and status <> 'pending';

-- Counts of many rows are told from what ANALYZE saw (src/queue/stats.ts): by default it looks again when a tenth of the
-- table has changed, half a million rows of five.
alter table cape_issues set (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000);
