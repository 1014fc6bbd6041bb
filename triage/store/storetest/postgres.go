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
)

// server is a running PostgreSQL.
type server struct {
	address *url.URL
	// leash keeps the server that was started here alive: see keeper. It is
	// held by this reference, for a file that is collected is closed.
	leash io.Closer
}

// postgresServer is started once per test binary, on first need, and ends with it.
var postgresServer = sync.OnceValues(func() (server, error) {
	if given := os.Getenv("TRIAGEBOT_TEST_POSTGRES_URL"); given != "" {
		address, err := url.Parse(given)
		return server{address: address}, err
	}
	return startPostgres()
})

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

func startPostgres() (server, error) {
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
	// The tests kill triagebot, never the database: it need not sync.
	keep := exec.Command("sh", "-c", keeper, "keeper", folder,
		filepath.Join(programs, "postgres"), "-D", data, "-k", folder,
		"-c", "listen_addresses=", "-c", "max_connections=300", "-c", "fsync=off")
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
	return server{address: address, leash: leash}, nil
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
