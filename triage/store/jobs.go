// The job engine: River, whose rows commit together with ours. Only this file
// and migrate.go know it.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/sirupsen/logrus"
	logrusslog "github.com/sirupsen/logrus/hooks/slog"
)

// JobsOptions say how jobs are worked.
type JobsOptions struct {
	// ReplicaID names this process among those on the database; unique.
	ReplicaID string
	// Run executes a run. It is called again, here or in another replica,
	// until it returns nil, and must bear being called twice at once. A Later
	// says when.
	Run func(ctx context.Context, runID int64) error
	// Publish writes an incident's evidence bundle as the database has it now.
	// Called as Run is.
	Publish func(ctx context.Context, incidentID int64) error
	// Index writes the index of all bundles as the database has it now. Called
	// as Run is.
	Index func(ctx context.Context) error
	// Silence makes a silence that a person asked for, and watches over it.
	// Called as Run is.
	Silence func(ctx context.Context, silenceID int64) error
	// Window takes a maintenance window a step further. Called as Run is; nil
	// where no maintenance is configured.
	Window     func(ctx context.Context, windowID int64) error
	MaxWorkers int // jobs at once; 0 means 32
	Log        *logrus.Logger
}

// Later is the error that puts a job back into the queue, for this or another
// replica to take up after a pause. It is no failure and counts no attempt.
type Later struct {
	After time.Duration
	Why   string
}

func (l *Later) Error() string { return fmt.Sprintf("again in %s: %s", l.After, l.Why) }

// forRiver is the end of a job in River's words.
func forRiver(err error) error {
	var later *Later
	if errors.As(err, &later) {
		return river.JobSnooze(later.After) // gives the attempt back
	}
	return err
}

// Jobs works the jobs of one process.
type Jobs struct {
	db     *DB
	id     string
	client *river.Client[*sql.Tx]
	log    logrus.FieldLogger
}

// Each kind of job has arguments of its own, which are what its row holds.
type (
	runArgs struct {
		RunID int64 `json:"run_id"`
	}
	publishArgs struct {
		IncidentID int64 `json:"incident_id"`
	}
	indexArgs   struct{}
	silenceArgs struct {
		SilenceID int64 `json:"silence_id"`
	}
	windowArgs struct {
		WindowID int64 `json:"window_id"`
	}
)

func (runArgs) Kind() string     { return "run" }
func (publishArgs) Kind() string { return "publish" }
func (indexArgs) Kind() string   { return "index" }
func (silenceArgs) Kind() string { return "silence" }
func (windowArgs) Kind() string  { return "window" }

// works has jobs of one kind worked by a function.
func works[A river.JobArgs](workers *river.Workers, work func(ctx context.Context, args A) error) {
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[A]) error {
		return forRiver(work(ctx, job.Args))
	}))
}

// noWindow is what works a window whose section was taken out of the
// configuration in the middle of it.
func noWindow(context.Context, int64) error {
	return &Later{After: time.Minute, Why: "no maintenance is configured"}
}

// retryPolicy is a backoff with a ceiling: an incident is of no use in an hour.
type retryPolicy struct{ now func() time.Time }

func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return p.now().Add(time.Duration(1<<min(job.Attempt, 5)) * time.Second)
}

const (
	heartbeat   = 3 * time.Second
	replicaDead = 15 * time.Second // without a heartbeat; its jobs are then taken over, and see LaneLease
	// A job that was killed with its process counts an attempt each time, so
	// attempts must not be what ends a run: the run's own deadline is.
	maxAttempts = 1000
)

// NewJobs prepares the engine; from now on StartRun can enqueue. Start works
// the jobs.
func (db *DB) NewJobs(opts JobsOptions) (*Jobs, error) {
	if opts.MaxWorkers == 0 {
		opts.MaxWorkers = 32
	}
	if opts.Window == nil {
		opts.Window = noWindow
	}
	workers := river.NewWorkers()
	works(workers, func(ctx context.Context, a runArgs) error { return opts.Run(ctx, a.RunID) })
	works(workers, func(ctx context.Context, a publishArgs) error { return opts.Publish(ctx, a.IncidentID) })
	works(workers, func(ctx context.Context, _ indexArgs) error { return opts.Index(ctx) })
	works(workers, func(ctx context.Context, a silenceArgs) error { return opts.Silence(ctx, a.SilenceID) })
	works(workers, func(ctx context.Context, a windowArgs) error { return opts.Window(ctx, a.WindowID) })
	client, err := river.NewClient(db.riverDriver(), &river.Config{
		ID:      opts.ReplicaID,
		Workers: workers,
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: opts.MaxWorkers}},
		// Measured: 24 / 52 ms from insert to start at p50 / p99 on SQLite.
		FetchCooldown:        10 * time.Millisecond,
		FetchPollInterval:    250 * time.Millisecond,
		MaxAttempts:          maxAttempts,
		JobTimeout:           -1, // a run has its own deadline
		RetryPolicy:          retryPolicy{db.now},
		RescueStuckJobsAfter: time.Hour, // ours is quicker: see rescue
		Logger:               slog.New(logrusslog.NewHandler(opts.Log, &logrusslog.HandlerOptions{LevelMapper: quieter})),
	})
	if err != nil {
		return nil, fmt.Errorf("job engine: %w", err)
	}
	db.jobs = &Jobs{db: db, id: opts.ReplicaID, client: client, log: opts.Log}
	return db.jobs, nil
}

// enqueueRun inserts the job of a run.
func (tx *Tx) enqueueRun(ctx context.Context, runID int64) error {
	return tx.enqueue(ctx, runArgs{RunID: runID})
}

// EnqueuePublish has the incident's evidence bundle written anew, soon after
// the commit.
func (tx *Tx) EnqueuePublish(ctx context.Context, incidentID int64) error {
	return tx.enqueue(ctx, publishArgs{IncidentID: incidentID})
}

// EnqueueWindow has the window taken further, soon after the commit.
func (tx *Tx) EnqueueWindow(ctx context.Context, windowID int64) error {
	return tx.enqueue(ctx, windowArgs{WindowID: windowID})
}

func (tx *Tx) enqueue(ctx context.Context, args river.JobArgs) error {
	if tx.db.jobs == nil {
		return fmt.Errorf("enqueue %s: the job engine is not set up", args.Kind())
	}
	if _, err := tx.db.jobs.client.InsertTx(ctx, tx.tx, args, nil); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}

// Run works jobs until ctx ends, then lets those under way end within grace;
// what is not done by then is worked again at the next start.
func (j *Jobs) Run(ctx context.Context, grace time.Duration) error {
	if err := j.beat(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopped before it began
		}
		return err
	}
	base := context.WithoutCancel(ctx)
	if err := j.client.Start(base); err != nil {
		return fmt.Errorf("job engine: %w", err)
	}
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := j.beat(ctx); err != nil && ctx.Err() == nil {
				j.log.WithError(err).Warn("heartbeat failed; another replica may take this one's runs over")
			}
		case <-ctx.Done():
			stopCtx, cancel := context.WithTimeout(base, grace)
			defer cancel()
			err := j.client.Stop(stopCtx)
			if errors.Is(err, context.DeadlineExceeded) {
				hardCtx, cancelHard := context.WithTimeout(base, 5*time.Second)
				defer cancelHard()
				err = j.client.StopAndCancel(hardCtx)
			}
			return errors.Join(err, j.leave(base))
		}
	}
}

// beat says that this replica lives, and makes the jobs of dead ones, and the
// bundles that they were publishing, available.
func (j *Jobs) beat(ctx context.Context) error {
	return j.db.Tx(ctx, func(tx *Tx) error {
		now, err := tx.sharedNow(ctx)
		if err != nil {
			return err
		}
		err = tx.exec(ctx, `INSERT INTO replicas (id, seen_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = $2`, j.id, micros(now))
		if err != nil {
			return err
		}
		dead := `DELETE FROM replicas WHERE seen_at < $1`
		if j.db.dialect == sqlite {
			// The file's lock says that no other process lives.
			dead = `DELETE FROM replicas WHERE id <> $2 OR seen_at < $1`
			err = tx.exec(ctx, dead, micros(now.Add(-replicaDead)), j.id)
		} else {
			err = tx.exec(ctx, dead, micros(now.Add(-replicaDead)))
		}
		if err != nil {
			return err
		}
		if err := tx.freeBundles(ctx); err != nil {
			return err
		}
		n, err := tx.rescue(ctx)
		if n > 0 {
			j.log.WithField("jobs", n).Info("took over the runs of a replica that died")
		}
		return err
	})
}

// leave gives up this replica's place, so that nobody waits for it.
func (j *Jobs) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return j.db.Tx(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `DELETE FROM replicas WHERE id = $1`, j.id)
	})
}

// rescue makes the running jobs of replicas that are gone available again.
// River's own rescue waits for a job's time limit, for River has no heartbeat;
// the fence in findings makes working a job twice harmless. This is raw SQL on
// River's table: River's version is pinned, and the crash tests cover it.
func (tx *Tx) rescue(ctx context.Context) (int64, error) {
	query := `
		UPDATE river_job SET state = 'available'
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] NOT IN (SELECT id FROM replicas)`
	if tx.db.dialect == sqlite {
		query = `
			UPDATE river_job SET state = 'available'
			WHERE state = 'running' AND json_extract(attempted_by, '$[#-1]') NOT IN (SELECT id FROM replicas)`
		res, err := tx.tx.ExecContext(ctx, query) // not bound: its $ is JSON's
		if err != nil {
			return 0, fmt.Errorf("rescue jobs: %w", err)
		}
		return res.RowsAffected()
	}
	return tx.execCount(ctx, query)
}

// JobStates counts the engine's jobs by state.
func (db *DB) JobStates(ctx context.Context) (map[string]int, error) {
	return db.countBy(ctx, `SELECT state, COUNT(*) FROM river_job GROUP BY state`)
}

// quieter takes River's routine news for debugging news.
func quieter(level slog.Level) logrus.Level {
	if level == slog.LevelInfo {
		return logrus.DebugLevel
	}
	return logrusslog.SlogLevel(level).Level()
}
