// The PostgreSQL server that tests run on: a given one, or one started here
// with its own data folder and a Unix socket, never a port.

package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"triagebot/triage/store"
)

// server is a running PostgreSQL.
type server struct {
	address *url.URL
	// leash keeps the server that was started here alive: see keeper. It is
	// held by this reference, for a file that is collected is closed.
	leash io.Closer
	// template is a database that has the current schema, "" where there is none.
	template string
}

// The servers are started once per test binary, on first need, and end with it.
var (
	// The tests kill triagebot, never the database: it need not sync.
	postgresServer = sync.OnceValues(func() (server, error) { return givenOrStarted("fsync=off") })
	durableServer  = sync.OnceValues(func() (server, error) { return givenOrStarted("fsync=on") })
)

func givenOrStarted(settings ...string) (server, error) {
	if given := os.Getenv("TRIAGEBOT_TEST_POSTGRES_URL"); given != "" {
		address, err := url.Parse(given)
		return server{address: address}, err
	}
	return startPostgres(settings)
}

// keeper runs the server for as long as this process holds the other end of
// its standard input, so that a test binary that panics or is killed leaves
// neither a process nor a folder behind.
const keeper = `folder=$1; shift
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -INT $server
wait $server
rm -rf "$folder"`

func startPostgres(settings []string) (server, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return server{}, err
	}
	folder, err := os.MkdirTemp("", "triagebot-pg")
	if err != nil {
		return server{}, err
	}
	as, err := serverUser(folder)
	if err != nil {
		return server{}, err
	}
	data := filepath.Join(folder, "data")
	initdb := exec.Command(filepath.Join(programs, "initdb"), "--pgdata", data, "--username", "postgres",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, folder
	if out, err := initdb.CombinedOutput(); err != nil {
		return server{}, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	args := []string{"-c", keeper, "keeper", folder, filepath.Join(programs, "postgres"), "-D", data, "-k", folder}
	for _, setting := range append([]string{"listen_addresses=", "max_connections=300"}, settings...) {
		args = append(args, "-c", setting)
	}
	keep := exec.Command("sh", args...)
	keep.SysProcAttr, keep.Dir = as, folder
	leash, err := keep.StdinPipe()
	if err != nil {
		return server{}, err
	}
	if err := keep.Start(); err != nil {
		return server{}, fmt.Errorf("start PostgreSQL: %w", err)
	}
	address := &url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {folder}}.Encode()}
	if err := waitForPostgres(address); err != nil {
		log, _ := os.ReadFile(filepath.Join(folder, "log"))
		return server{}, fmt.Errorf("PostgreSQL did not start: %w\n%s", err, log)
	}
	started := server{address: address, leash: leash}
	err = started.makeTemplate()
	return started, err
}

// makeTemplate migrates a database once, for copies of it to come cheap.
func (s *server) makeTemplate() error {
	const name = "migrated"
	if err := s.do("CREATE DATABASE " + name); err != nil {
		return err
	}
	db, err := store.Open(context.Background(), store.Options{PostgresURL: s.database(name)})
	if err != nil {
		return fmt.Errorf("migrate the tests' template: %w", err)
	}
	s.template = name
	return db.Close()
}

// do executes a statement on the server's own database.
func (s *server) do(statement string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.address.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// database is the URL of one of the server's databases.
func (s *server) database(name string) string {
	address := *s.address
	address.Path = "/" + name
	return address.String()
}

func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("these tests run on PostgreSQL too, which is not installed: " +
			"apt-get install postgresql, or set TRIAGEBOT_TEST_POSTGRES_URL to a server's URL, or pass -short to leave them out")
	}
	return filepath.Dir(slices.Max(found)), nil
}

// serverUser gives the folder to the user that the server runs as, for
// PostgreSQL refuses to run as root.
func serverUser(folder string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no other user for it: %w", err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(owner.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(folder, uid, gid)
}

// waitForPostgres returns once the server takes connections.
func waitForPostgres(address *url.URL) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, address.String())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}
