// Command triagebot is the first look at every page: it turns Alertmanager's
// notifications into incident threads whose findings are backed by evidence.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
)

// exitError ends the program with a status of its own; its text, if any, has
// been printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// subcommand is one of the program's commands.
type subcommand struct {
	name string
	run  func(ctx context.Context, stdout, stderr io.Writer) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := execute(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// plainArguments has kingpin, which knows it for all of a process only, take an
// argument that begins with @ for what it is and not for a file of arguments:
// it may be the id of a request.
var plainArguments = sync.OnceFunc(func() { kingpin.EnableFileExpansion = false })

// execute runs the program and returns its exit status: 0 for success, 1 for a
// failure, 2 for a command line that is not understood.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	plainArguments()
	app := kingpin.New(filepath.Base(args[0]), "The first look at every page: Alertmanager's notifications become incident threads whose findings are backed by evidence.")
	app.Version(version.Print("triagebot"))
	app.HelpFlag.Short('h')
	app.UsageWriter(stdout).ErrorWriter(stderr)
	done := false
	app.Terminate(func(int) { done = true })
	check := app.Command("check", "Check files, or the Slack app, without running anything.")
	commands := []subcommand{
		serveCommand(app),
		checkConfigCommand(check),
		checkSlackCommand(check),
		evidenceCommand(app),
		demoCommand(app),
		ctlCommand(app),
		auditCommand(app),
	}
	commands = append(commands, traceCommands(app)...)

	name, err := app.Parse(args[1:])
	switch {
	case done: // --help or --version, printed
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "%s: error: %v, try --help\n", app.Name, err)
		return 2
	}
	for _, c := range commands {
		if c.name != name {
			continue
		}
		err := c.run(ctx, stdout, stderr)
		var status exitError
		switch {
		case err == nil:
			return 0
		case errors.As(err, &status):
			return int(status)
		default:
			fmt.Fprintf(stderr, "%s: error: %v\n", app.Name, err)
			return 1
		}
	}
	return 2
}
