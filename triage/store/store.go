// Package store keeps everything that must survive: notifications, incidents,
// runs, findings, the outbox and the job engine, in one SQL database. SQLite
// (one file, one writer) is the embedded default; PostgreSQL serves several
// replicas. The statements are the same for both, and so is every caller.
//
// A state change and the deliveries it causes are one transaction: see DB.Tx.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/sirupsen/logrus"
)

// Options say which database, and how the store sees the world.
type Options struct {
	SQLitePath  string // file; its folder is made where it is missing
	PostgresURL string // postgres://…; exactly one of the two is set
	// MaxBacklog bounds the notifications that are accepted and not yet
	// folded; 0 means 20,000.
	MaxBacklog int
	Now        func() time.Time // this process's clock; time.Now when nil
	// SharedNow is the clock by which replicas judge each other, so all must
	// have it in common; nil is PostgreSQL's own, and Now for a SQLite file.
	SharedNow func() time.Time
	Log       logrus.FieldLogger
}

// DB is an open database, migrated to the current schema.
type DB struct {
	write     *sql.DB
	read      *sql.DB
	listen    *pgxpool.Pool // PostgreSQL only: River's LISTEN connection
	lock      *flock.Flock  // SQLite only: one process at a time
	dialect   dialect
	now       func() time.Time
	sharedNow func() time.Time // nil: ask PostgreSQL
	log       logrus.FieldLogger
	jobs      *Jobs
	backlog   backlog

	// Committed tells those who wait for new rows that there may be some.
	wake map[Topic]chan struct{}
}

// Topic is what a committed transaction may have made work for.
type Topic int

// The topics.
const (
	NotificationsWaiting Topic = iota
	DeliveriesWaiting
)

type dialect int

const (
	sqlite dialect = iota
	postgres
)

// Open opens the database, takes the lock of a SQLite file, and migrates the
// schema.
func Open(ctx context.Context, opts Options) (*DB, error) {
	db := &DB{now: opts.Now, sharedNow: opts.SharedNow, log: opts.Log, wake: map[Topic]chan struct{}{
		NotificationsWaiting: make(chan struct{}, 1),
		DeliveriesWaiting:    make(chan struct{}, 1),
	}}
	if db.now == nil {
		db.now = time.Now
	}
	if db.sharedNow == nil && opts.PostgresURL == "" {
		db.sharedNow = db.now // one process has the file
	}
	if db.log == nil {
		silent := logrus.New()
		silent.SetLevel(logrus.PanicLevel)
		db.log = silent
	}
	db.backlog.limit = opts.MaxBacklog
	if db.backlog.limit == 0 {
		db.backlog.limit = 20_000
	}
	var err error
	if opts.PostgresURL != "" {
		err = db.openPostgres(ctx, opts.PostgresURL)
	} else {
		err = db.openSQLite(opts.SQLitePath)
	}
	if err == nil {
		err = db.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// readers is how many connections read beside SQLite's one writer.
const readers = 4

func (db *DB) openSQLite(path string) error {
	db.dialect = sqlite
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make the database's folder: %w", err)
	}
	db.lock = flock.New(path + ".lock")
	switch held, err := db.lock.TryLock(); {
	case err != nil:
		return fmt.Errorf("lock %s: %w", path, err)
	case !held:
		return fmt.Errorf("%s is in use by another triagebot; stop that one, or give each its own storage.sqlite.path", path)
	}
	if err := db.guardFiles(path); err != nil {
		return err
	}
	// One writer connection: with four there were SQLITE_BUSY errors. FULL
	// syncs the log at every commit, which is what makes a 2xx true.
	pragmas := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)"}}
	readPragmas := url.Values{"_pragma": append([]string{"query_only(1)"}, pragmas["_pragma"][:2]...)}
	pragmas.Set("_txlock", "immediate")
	// In SQLite's URI a # or ? would end the path, and another file be opened.
	file := "file:" + (&url.URL{Path: path}).EscapedPath() + "?"
	var err error
	if db.write, err = openKeeping(file + pragmas.Encode()); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	if err := db.write.Ping(); err != nil { // makes the file before anyone reads it
		return fmt.Errorf("open %s: %w", path, err)
	}
	if db.read, err = openKeeping(file + readPragmas.Encode()); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	db.read.SetMaxOpenConns(readers)
	return nil
}

// fileMode is what others may do with a SQLite database: nothing, for it holds
// the key that signs links to evidence, and labels as they came.
const fileMode = 0o600

// guardFiles makes the database's file where it is missing, for this user
// alone, and takes the permissions of others from one that is there. SQLite
// gives the files that it makes beside it the same permissions.
func (db *DB) guardFiles(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&^fileMode != 0 {
			err = os.Chmod(name, info.Mode().Perm()&fileMode)
		}
		if err != nil { // a file of another user's, as on a volume that is mounted so
			db.log.WithError(err).Warnf("others than triagebot may read %s; take their permissions from it", name)
		}
	}
	return nil
}

func (db *DB) openPostgres(ctx context.Context, address string) error {
	db.dialect = postgres
	// pgx's parse errors may quote the address, and with it the password.
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return errors.New("storage.postgres: the URL does not parse; write postgres://user:password@host:5432/database")
	}
	db.write = stdlib.OpenDB(*config)
	db.write.SetMaxOpenConns(16)
	db.write.SetMaxIdleConns(16)
	db.read = db.write
	if err := db.write.PingContext(ctx); err != nil {
		return fmt.Errorf("connect to PostgreSQL at %s:%d: %w", config.Host, config.Port, err)
	}
	poolConfig, err := pgxpool.ParseConfig(address)
	if err != nil {
		return errors.New("storage.postgres: the URL does not parse as a connection pool's")
	}
	poolConfig.MaxConns = 2
	if db.listen, err = pgxpool.NewWithConfig(ctx, poolConfig); err != nil {
		return fmt.Errorf("connect to PostgreSQL at %s:%d: %w", config.Host, config.Port, err)
	}
	return nil
}

// Close closes the connections and gives the lock back. Stop whoever uses the
// database first.
func (db *DB) Close() error {
	var errs []error
	if db.read != nil && db.read != db.write {
		errs = append(errs, db.read.Close())
	}
	if db.write != nil {
		errs = append(errs, db.write.Close())
	}
	if db.listen != nil {
		db.listen.Close()
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Ping says whether the database can commit: a write, for a full disk still reads.
func (db *DB) Ping(ctx context.Context) error {
	return db.Tx(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE locks SET taken_at = $1 WHERE name = 'ready'`, micros(db.now()))
	})
}

// Waiting receives after a commit that may have made work for topic. It holds
// one signal: take it, then look at everything there is.
func (db *DB) Waiting(topic Topic) <-chan struct{} { return db.wake[topic] }

func (db *DB) signal(topic Topic) {
	select {
	case db.wake[topic] <- struct{}{}:
	default:
	}
}

// bind turns $1 into SQLite's ?1; PostgreSQL takes the statement as it is.
func (d dialect) bind(query string) string {
	if d == sqlite {
		return strings.ReplaceAll(query, "$", "?")
	}
	return query
}

// micros is how instants are stored: microseconds since the epoch, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
