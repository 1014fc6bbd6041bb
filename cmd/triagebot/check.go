// triagebot check: everything that can be told of files without running them.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"triagebot/cmd/config"
	"triagebot/triage/step"
)

func checkConfigCommand(check *kingpin.CmdClause) subcommand {
	cmd := check.Command("config", "Check a configuration and the playbooks it names. Prints every problem; exit status 1 when there is one.")
	file := cmd.Arg("file", "The configuration.").Required().String()
	print := cmd.Flag("print", "Print the configuration as it is in force, defaults filled in and secrets hidden.").Bool()
	return subcommand{cmd.FullCommand(), func(_ context.Context, stdout, stderr io.Writer) error {
		cfg, problems := config.Check(*file)
		if cfg == nil {
			fmt.Fprintln(stderr, problems.Err())
			return exitError(1)
		}
		a := &app{registry: prometheus.NewRegistry(), log: newLog(stderr, cfg)}
		err := problems.Err()
		if err == nil {
			err = a.tryClients(cfg)
		}
		// Whatever is wrong so far, what is wrong with the playbooks is said in
		// the same go.
		set, unfit := loadPlaybooks(cfg, step.Kinds(namedDeps(cfg)), nil)
		if err := errors.Join(err, unfit); err != nil {
			fmt.Fprintln(stderr, err)
			return exitError(1)
		}
		if *print {
			return cfg.Print(stdout)
		}
		fmt.Fprintf(stdout, "%s is fine: %d playbooks, %d routes\n", *file, len(set.All()), len(cfg.Routes))
		return nil
	}}
}

// tryClients makes the clients that serve would ask with, of which some
// problems are found only then: a CA file that holds no certificate.
func (a *app) tryClients(cfg *config.Config) error {
	_, ofSteps := a.stepDeps(cfg)
	_, ofTraces := traceBackends(&cfg.Traces)
	problems := []error{ofSteps, ofTraces}
	if m := cfg.Maintenance; m != nil {
		_, ofToggle := maintenanceToggle(m)
		_, ofReady := maintenanceReady(m)
		problems = append(problems, ofToggle, ofReady)
	}
	return errors.Join(problems...)
}

// namedDeps are the datasources by name and without clients, and the commands,
// which can be told of a configuration that is wrong, too.
func namedDeps(cfg *config.Config) step.Deps {
	deps := step.Deps{
		Prometheus: map[string]step.Datasource{mainDatasource: {}}, DefaultDatasource: mainDatasource,
		Dashboards: readDashboard, Commands: allowedCommands(cfg),
	}
	for name := range cfg.Datasources {
		deps.Prometheus[name] = step.Datasource{}
	}
	return deps
}
