// SQLite's prepared statements are kept by their connection: parsing took more
// than a third of the time of folding a notification. PostgreSQL's client does
// the same by itself.

package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	sqlitedriver "modernc.org/sqlite"
)

// maxStatements bounds those that a connection keeps; further ones are
// prepared at each use.
const maxStatements = 512

// keepingConnector opens SQLite connections that keep their statements.
type keepingConnector struct{ driver.Connector }

// openKeeping is sql.Open of SQLite with kept statements.
func openKeeping(dsn string) (*sql.DB, error) {
	base, err := sqlitedriver.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keepingConnector{base}), nil
}

func (c keepingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	base, ok := conn.(sqliteConn)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T lacks a method that this program uses", conn)
	}
	return &keepingConn{sqliteConn: base, kept: map[string]*keptStatement{}}, nil
}

// sqliteConn is what the driver's connections can and database/sql asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStatement is the same of its statements.
type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keepingConn is one connection; database/sql uses it from one goroutine at a
// time.
type keepingConn struct {
	sqliteConn
	kept map[string]*keptStatement
}

type keptStatement struct {
	sqliteStatement
	busy bool // its rows are being read
}

// ExecContext implements driver.ExecerContext.
func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &keptRows{rows, s}, nil
}

// statement is the kept one of a query. driver.ErrSkip has database/sql prepare
// one for this use alone.
func (c *keepingConn) statement(ctx context.Context, query string) (*keptStatement, error) {
	s, known := c.kept[query]
	switch {
	case known && !s.busy:
		return s, nil
	case known, len(c.kept) >= maxStatements:
		return nil, driver.ErrSkip
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	base, ok := prepared.(sqliteStatement)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T lacks a method that this program uses", prepared)
	}
	s = &keptStatement{sqliteStatement: base}
	c.kept[query] = s
	return s, nil
}

// Close implements driver.Conn.
func (c *keepingConn) Close() error {
	for _, s := range c.kept {
		_ = s.Close() // the connection's end ends them anyhow
	}
	clear(c.kept)
	return c.sqliteConn.Close()
}

// keptRows give their statement back when they are closed.
type keptRows struct {
	driver.Rows
	statement *keptStatement
}

func (r *keptRows) Close() error {
	r.statement.busy = false
	return r.Rows.Close()
}
