package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Tx is one transaction. Everything that writes takes one, so that a state
// change and what it causes commit together. Never wait for the network
// inside: SQLite has one writer.
type Tx struct {
	tx      *sql.Tx
	db      *DB
	signals map[Topic]bool
}

// Tx runs fn in a transaction and commits it when fn returns nil. Whoever
// waits for a topic that fn touched is woken after the commit.
func (db *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	raw, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{tx: raw, db: db, signals: map[Topic]bool{}}
	defer raw.Rollback() //nolint:errcheck // after a commit it has nothing to do
	if err := fn(tx); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for topic := range tx.signals {
		db.signal(topic)
	}
	return nil
}

func (tx *Tx) exec(ctx context.Context, query string, args ...any) error {
	_, err := tx.execCount(ctx, query, args...)
	return err
}

// execCount is exec that says how many rows it touched.
func (tx *Tx) execCount(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(ctx, tx.db.dialect.bind(query), args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	return res.RowsAffected()
}

// queryer is what reads: a transaction, or the readers' connections.
type queryer interface {
	rows(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (tx *Tx) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.tx.QueryContext(ctx, tx.db.dialect.bind(query), args...)
}

func (db *DB) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.read.QueryContext(ctx, db.dialect.bind(query), args...)
}

type scanner interface{ Scan(dest ...any) error }

// all reads every row of a query through scan.
func all[T any](ctx context.Context, q queryer, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.rows(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", firstWords(query), err)
		}
		out = append(out, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	return out, nil
}

// ErrNotFound says that a row that was asked for is not there.
var ErrNotFound = errors.New("not found")

// one reads the first row of a query, or gives ErrNotFound.
func one[T any](ctx context.Context, q queryer, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	items, err := all(ctx, q, scan, query, args...)
	if err == nil && len(items) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return items[0], nil
}

// scanOf scans rows of a single column.
func scanOf[T any](s scanner) (T, error) {
	var v T
	err := s.Scan(&v)
	return v, err
}

// firstWords names a statement in errors without its values.
func firstWords(query string) string {
	const limit = 40
	words := []byte{}
	for i := 0; i < len(query) && len(words) < limit; i++ {
		c := query[i]
		if c == '\n' || c == '\t' {
			c = ' '
		}
		if c == ' ' && (len(words) == 0 || words[len(words)-1] == ' ') {
			continue
		}
		words = append(words, c)
	}
	return string(words)
}

// toJSON is for the columns that hold JSON. The types that are stored always
// marshal; one that does not is a mistake in the program.
func toJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: %T does not marshal: %v", v, err))
	}
	return string(data)
}

func fromJSON(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

// sharedNow is the time by the clock that all replicas have in common: what one
// wrote by it, another may judge.
func (tx *Tx) sharedNow(ctx context.Context) (time.Time, error) {
	if tx.db.sharedNow != nil {
		return tx.db.sharedNow(), nil
	}
	at, err := one(ctx, tx, scanOf[int64], `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`)
	return fromMicros(at), err
}

// LockCorrelation makes this transaction the only one, of all replicas, that
// folds notifications or moves incidents until it ends.
func (tx *Tx) LockCorrelation(ctx context.Context) error {
	return tx.exec(ctx, `UPDATE locks SET taken_at = $1 WHERE name = 'correlation'`, micros(tx.db.now()))
}
