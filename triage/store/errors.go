// Which errors lie in what was to be written, and which in the database's
// state: only the first kind is a reason to give up on a piece of work.

package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// IsPermanent says whether a transaction that failed with err will fail again
// for as long as it writes the same: a value that the database refuses, a row
// that does not read. Trouble that passes or that an operator ends (a lost
// connection, a deadlock, a full disk, a missing table) is not.
func IsPermanent(err error) bool {
	var fromPostgres *pgconn.PgError
	var fromSQLite *sqlitedriver.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &fromPostgres):
		return refusedByPostgres(fromPostgres.Code)
	case errors.As(err, &fromSQLite):
		return refusedBySQLite(fromSQLite.Code())
	default:
		// What no database said: the way to it failed, or a value does not fit.
		return !isConnectionTrouble(err)
	}
}

// refusedByPostgres knows the classes of SQLSTATE that depend on the values:
// data exception, integrity constraint violation, program limit exceeded.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func refusedByPostgres(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "22", "23", "54":
		return true
	}
	return false
}

// refusedBySQLite knows the result codes that depend on the values; the low
// byte of an extended code is its primary one (https://sqlite.org/rescode.html).
func refusedBySQLite(code int) bool {
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
		return true
	}
	return false
}

func isConnectionTrouble(err error) bool {
	for _, trouble := range []error{
		context.Canceled, context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, trouble) {
			return true
		}
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err)
}
